"""The documents and the examples are correct."""
