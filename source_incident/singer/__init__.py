"""Converts catalog, state and messages between the Airbyte protocol and Singer. Knows no HTTP.

This module imports nothing, so that `--about` can use `about.py` without loading the CDK.
"""
