"""Tests of the program inside other tools."""
