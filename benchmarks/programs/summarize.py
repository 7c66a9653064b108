"""The product's own ai-worker in a process of its own."""

import signal
import threading

from actors.summarizer import Summarizer


def main() -> None:
    """Summarize until a SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    worker = Summarizer("bench-ai-worker")
    stopping.wait()
    worker.stop()


if __name__ == "__main__":
    main()
