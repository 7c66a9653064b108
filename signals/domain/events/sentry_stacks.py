"""Reads exceptions and stack frames of a Sentry event: names only, never locals or source lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signals.domain.events.foreign import member
from signals.domain.events.masking import MAX_KEPT_CHARS, clean, masked, text_of

MAX_KEPT_FRAMES: Final = 8  # guess: the innermost of the own code, in one text of payload
MAX_FAULTS: Final = 50  # guess: of one chain
MAX_FRAMES: Final = 500  # guess: looked at per fault, from the crash outwards
MAX_PART_CHARS: Final = 120  # guess: of a file, module or function in the kept stack

Frame = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentryFault:
    """One exception of a chain; `frames` ends with the frame of the crash."""

    type: str
    value: str
    frames: list[Frame]
    is_synthetic: bool
    handled: bool | None

    @property
    def is_typed(self) -> bool:
        """Whether the client says which exception it is; plain JavaScript messages have none."""
        return bool(self.type)


def faults_of(event: Mapping[str, object]) -> list[SentryFault]:
    """Return the chain of exceptions, the oldest cause first, as clients send it."""
    raw = event.get("exception", event.get("sentry.interfaces.Exception"))
    values = raw.get("values", [raw]) if isinstance(raw, dict) else raw
    if not isinstance(values, list):
        return []
    return [_fault(value) for value in values[-MAX_FAULTS:] if isinstance(value, dict)]


def _fault(value: Mapping[str, object]) -> SentryFault:
    mechanism = value.get("mechanism")
    handled = member(mechanism, "handled")
    kind = value.get("type")
    return SentryFault(
        type=clean(kind) if isinstance(kind, str) else "",
        value=clean(text_of(value.get("value"))),
        frames=_frames(value.get("stacktrace")),
        is_synthetic=member(mechanism, "synthetic") is True,
        handled=handled if isinstance(handled, bool) else None,
    )


def _frames(stacktrace: object) -> list[Frame]:
    frames = member(stacktrace, "frames")
    if not isinstance(frames, list):
        return []
    return [frame for frame in frames[-MAX_FRAMES:] if isinstance(frame, dict)]


def loose_frames(event: Mapping[str, object]) -> list[Frame]:
    """Return the frames that belong to no exception: of a message, or of the thread that crashed."""
    frames = _frames(event.get("stacktrace", event.get("sentry.interfaces.Stacktrace")))
    threads = event.get("threads")
    values = threads.get("values") if isinstance(threads, dict) else threads
    if frames or not isinstance(values, list):
        return frames
    found = [thread for thread in values[:MAX_FRAMES] if isinstance(thread, dict)]
    found.sort(key=lambda thread: thread.get("crashed") is not True)  # the crashed one first
    return next((frames for thread in found if (frames := _frames(thread.get("stacktrace")))), [])


def crash_frame(frames: list[Frame]) -> Frame | None:
    """Return the last frame of the team's own code, the last of all when none is marked."""
    own = (frame for frame in reversed(frames) if frame.get("in_app") is True)
    return next(own, frames[-1] if frames else None)


def last_function(frames: list[Frame]) -> str | None:
    """Return the name of the function that crashed."""
    frame = crash_frame(frames)
    return _part(frame, "function") or None if frame is not None else None


def culprit_of(frames: list[Frame]) -> str | None:
    """Return `module:function` of the crash frame, masked; the file's name stands in for a missing module."""
    frame = crash_frame(frames)
    if frame is None:
        return None
    place = _part(frame, "module") or _part(frame, "filename").rpartition("/")[2].partition("?")[0]
    parts = [part for part in (place, _part(frame, "function")) if part]
    return ":".join(parts) or None


def stack_of(frames: list[Frame]) -> dict[str, object]:
    """Return culprit with line and the last own frames, as members of a payload."""
    if not frames:
        return {}
    own = [frame for frame in frames if frame.get("in_app") is True] or frames
    lines = [_line(frame) for frame in own[-MAX_KEPT_FRAMES:]]
    culprit, line = culprit_of(frames), text_of(member(crash_frame(frames), "lineno"), 12)
    kept: dict[str, object] = {"stack": "\n".join(lines)[:MAX_KEPT_CHARS].strip()}
    if culprit:
        kept["culprit"] = f"{culprit}:{line}" if line else culprit
    return kept


def _line(frame: Frame) -> str:
    file = _part(frame, "filename").partition("?")[0]
    return f"{file}:{_part(frame, 'function')}:{text_of(frame.get('lineno'), 12)}"


def _part(frame: Frame, name: str) -> str:
    """Return a part of a frame, masked by itself: `auth.password:check` is no password."""
    value = frame.get(name)
    return masked(value, MAX_PART_CHARS) if isinstance(value, str) else ""
