"""The sync, from outside: the program as a process, in both protocols, against the sandbox."""
