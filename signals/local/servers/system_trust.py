"""Lets downloads trust the system's certificates, where a company adds the one of its proxy.

requests trusts a list of its own (certifi), and jgo offers no way to give it another.
"""

import threading
from dataclasses import dataclass, field

import truststore


@dataclass(slots=True)
class SystemTrust:
    """While a thread is within, TLS connections that this process begins trust the system's certificates.

    Several threads may be within at once. Only for downloads: connections to the product's servers trust
    the CA that their settings name.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _within: int = field(default=0, init=False, repr=False)

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1
            truststore.inject_into_ssl()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                truststore.extract_from_ssl()
