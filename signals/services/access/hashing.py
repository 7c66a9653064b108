"""Computes and checks hashes of passwords, in threads of its own with few places.

Each hash costs 60 ms of a core and 19 MiB. Without bounds a flood of wrong passwords would take both from
those who read incidents.
"""

import os
import secrets
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE: Final = 2  # hashes at once a replica: 38 MiB and, where there are no more, both cores
PLACES: Final = 6  # two that run and four that wait: a waiting request holds a thread that readers need
KINDNESS: Final = 10  # niceness of these threads: a flood leaves the core to readers
TIME_COST: Final = 2
MEMORY_KIB: Final = 19 * 1024
"""argon2id with one lane. Source: https://cheatsheetseries.owasp.org, Password Storage."""


class HashingBusy(Exception):  # noqa: N818  # reads as what happened
    """Every place is taken; try again in a second."""


class PasswordHashing:
    """The hashes of a process; safe to use from several threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hashing", initializer=_give_way)
        self._places = threading.BoundedSemaphore(PLACES)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex())

    def hashed(self, password: str) -> str:
        """Return the hash of a password, with a salt of its own.

        Raises:
            HashingBusy: when every place is taken.
        """
        with self._place():
            return self._threads.submit(self._hasher.hash, password).result()

    def matches(self, stored: str | None, password: str) -> bool:
        """Tell whether a password has this hash; without one it takes as long, and is never right.

        Raises:
            HashingBusy: when every place is taken.
        """
        with self._place():
            return self._threads.submit(self._verified, stored, password).result()

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verified(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        try:
            yield
        finally:
            self._places.release()


def _give_way() -> None:
    """Lower the priority of this thread alone; elsewhere than on Linux that is not possible."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), KINDNESS)
