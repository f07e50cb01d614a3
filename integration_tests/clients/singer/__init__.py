"""Clients of the Singer protocol: targets and the Singer project's checker."""
