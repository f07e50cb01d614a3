"""The vendor's own Python SDK parses every answer of the sandbox."""
