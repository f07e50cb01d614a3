"""A deterministic simulation: the engine in memory, with a virtual clock and a seeded scheduler.

`scheduler` has the clock, the loop and the workers; `account` the account and its changes; `server` the API with its
faults, and the client; `destinations` what a destination makes of the output; `run` the syncs of one account.
"""
