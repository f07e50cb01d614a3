"""Clients of the Airbyte protocol: the CDK's standard tests, PyAirbyte, dlt."""
