"""Soak runs: random kills and faults for a number of seeds. The tests here run a few seeds."""
