"""The product's own notifier in a process of its own."""

import signal
import threading

from actors.notifier import NotifierActor


def main() -> None:
    """Send messages until a SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    notifier = NotifierActor("bench-notifier")
    stopping.wait()
    notifier.stop()


if __name__ == "__main__":
    main()
