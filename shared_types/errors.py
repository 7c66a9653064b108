"""The one error of the contract; it belongs to the never-retry family."""


class InvalidEvent(ValueError):  # noqa: N818 - named for what the event is
    """The event breaks the envelope's rules; correct it before sending it again."""

    code: str
    """A stable word for programs, for example `missing` or `tenancy_mismatch`."""
    field: str | None
    """Dotted path of the field at fault, None when the event as a whole is."""
    message: str
    """One sentence that names the field and the remedy, never the value that was sent."""

    def __init__(self, code: str, field: str | None = None, message: str | None = None) -> None:
        # All three go to args so that the error survives pickling between processes.
        super().__init__(code, field, message)
        self.code = code
        self.field = field
        self.message = message or str(self.__doc__)

    def __str__(self) -> str:
        return self.message
