"""The program against Prism, a stand-in for the API that is made from the vendor's document alone."""
