"""The documents and the examples do what they say."""
