"""The connector against Prism, a mock API generated from the vendor's document alone."""
