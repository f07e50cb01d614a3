"""The program against every fault that the sandbox knows, from outside; docs/reliability.md is made of it."""
