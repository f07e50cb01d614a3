"""`make demo`: a made-up company, synced from the sandbox into DuckDB, and three answers."""
