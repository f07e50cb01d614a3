"""Helpers that several folders of integration tests share."""
