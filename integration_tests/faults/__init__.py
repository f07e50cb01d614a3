"""The program against every fault of the sandbox. These tests generate the tables of docs/reliability.md."""
