"""The checks, in the order in which docs/api.md has the assumptions."""
