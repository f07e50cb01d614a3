"""The connector compared with lower bounds and with the CDK: `make bench`, or `python -m benchmarks.NAME`."""
