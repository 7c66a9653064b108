"""The refusal of everyday work on an outage."""

from typing import Final

VERSION_CHANGED: Final = "version_changed"
"""The code when the outage has a newer change than the caller has read."""


class WorkRefused(Exception):  # noqa: N818  # reads as what happened
    """The work is not possible; `code` is a word for programs, the text names the remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
