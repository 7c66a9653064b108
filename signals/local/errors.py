"""What can go wrong with the local servers, told in one sentence a person can act on."""


class LocalStackError(Exception):
    """The local stack cannot do what was asked; the text is one sentence that says what to do."""


class GivenUpError(LocalStackError):
    """A consequence, not a cause: this part was abandoned because another one had failed."""
