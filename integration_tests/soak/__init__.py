"""Long runs: what the tests do for some seeds, for hundreds of them."""
