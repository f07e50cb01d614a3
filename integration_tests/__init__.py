"""Tests that run the whole connector, and what they run it against."""
