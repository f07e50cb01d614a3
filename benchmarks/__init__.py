"""How close the connector comes to what the API and the machine allow: `make bench`, or `python -m benchmarks.NAME`."""
