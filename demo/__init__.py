"""`make demo`: sync a made-up company from the mock API into DuckDB and run three queries."""
