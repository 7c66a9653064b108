"""A program that reports signups through Segment's library: `segment_shop.py HOST WRITE_KEY PEOPLE`."""

import sys

from segment import analytics


def main(host: str, write_key: str, people: int) -> None:
    """Sign people up, and report other calls of theirs."""
    errors: list[object] = []
    analytics.write_key, analytics.host = write_key, host
    analytics.on_error = lambda error, _: errors.append(error)
    for number in range(people):
        analytics.identify(f"person-{number}", {"email": "jo@shop.example"})
        analytics.track(f"person-{number}", "Signed Up", {"plan": "pro"})
        analytics.page(f"person-{number}", "docs")
    analytics.shutdown()
    assert not errors, errors


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
