"""Every stream, through the program."""
