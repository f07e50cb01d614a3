"""The vendor's Python SDK reads the sandbox."""
