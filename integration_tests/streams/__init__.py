"""Tests of every stream."""
