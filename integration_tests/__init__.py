"""Tests of the program from outside: against the sandbox, in containers, inside other tools."""
