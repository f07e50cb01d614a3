"""Programs for maintainers: `python -m tools.<name>`."""
