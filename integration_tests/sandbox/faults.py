"""Faults."""

from __future__ import annotations

from typing import Any


class Faults:
    def __init__(self, api: Any, specs: list[str], seed: int) -> None:
        self.set(specs)

    def set(self, specs: list[str]) -> None:
        pass

    def restart(self) -> None:
        pass

    def struck(self) -> dict[str, int]:
        return {}
