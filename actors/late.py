"""Actors whose code is imported where they run: who creates them needs none of it."""

from pkgutil import resolve_name
from typing import Any, ClassVar


class LateActor:
    """Base of the classes that the supervisor creates: passes the control methods on to the consumer."""

    path: ClassVar[str]
    """The consumer's class, as `module:class`."""

    def __init__(self, name: str) -> None:
        self._consumer: Any = resolve_name(self.path)(name)

    def health(self) -> Any:
        """Return the consumer's health."""
        return self._consumer.health()

    def stop(self) -> None:
        """Ask the consumer to stop."""
        self._consumer.stop()


def late_class(path: str) -> type[LateActor]:
    """Return a class with the consumer's name, which Ray shows, and none of its imports."""
    return type(path.partition(":")[2], (LateActor,), {"path": path})
