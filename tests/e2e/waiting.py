"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120
Found = TypeVar("Found")


def eventually(what: str, condition: Callable[[], Found | None], otherwise: Callable[[], str] = lambda: "") -> Found:
    """Whatever the condition gives, once it gives something."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = condition()
        if found is not None and found is not False:
            return found
        time.sleep(0.2)
    raise RuntimeError(f"{what} did not come in {PATIENCE} s {otherwise()}")
