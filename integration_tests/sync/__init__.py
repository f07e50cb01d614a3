"""Tests of a sync: the program as a process, in both protocols, against the sandbox."""
