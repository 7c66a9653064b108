"""Stores and logs what came of attempts to send messages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.telling import ToldState
from signals.store import leases
from signals.store.notifications import destination_states, fallbacks, notices
from signals.store.notifications.destinations import StoredDestination
from signals.store.notifications.notices import (
    QUEUE,
    FailedNotice,
    NoticeAttempt,
    NoticeLease,
    ToldNotice,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedNotice:
    """A leased message with what it must say; `message` is None when there is nothing to say.

    `fault`: it cannot be worded.
    """

    held: NoticeLease
    destination: StoredDestination
    state: ToldState | None = None
    message: NoticeMessage | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentNotice:
    """A leased message after its attempt, which is None when there was nothing to say."""

    notice: LeasedNotice
    attempt: NoticeAttempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedDelivery:
    """A message that was not told, and the destination that its incidents are passed on to, if any."""

    notice: FailedNotice
    fallback_id: UUID | None


def is_told(sent: SentNotice) -> bool:
    """Whether the message was told, or had nothing to say."""
    return sent.attempt is None or sent.attempt.result.state == "told"


def record(
    connection: Connection, told: Sequence[ToldNotice], failed: Sequence[FailedDelivery]
) -> tuple[Callable[[], set[UUID]], Callable[[], set[UUID]]]:
    """Store outcomes; the calls return the messages whose lease held, and the destinations disabled."""
    if not (told or failed):
        return set, set
    attempted = {one.held.destination_id for one in told if one.attempt is not None}
    failures: dict[UUID, list[DeliveryResult]] = {}
    for one in failed:
        failures.setdefault(one.notice.held.destination_id, []).append(one.notice.attempt.result)
    passed_to = {one.fallback_id for one in failed if one.fallback_id is not None}
    destination_states.lock(connection, attempted, failures.keys() | passed_to)
    changed = [one.held for one in told] + [one.notice.held for one in failed]
    leases.lock(connection, QUEUE, [one.job_id for one in changed])
    finished = notices.finish(connection, told) if told else set
    given_back = notices.fail(connection, [one.notice for one in failed]) if failed else set
    if attempted:
        destination_states.note_success(connection, attempted)
    disabled = destination_states.note_failure(connection, failures) if failed else set
    for one in failed:
        if one.fallback_id is not None:
            held = one.notice.held
            fallbacks.pass_on(connection, held.job_id, version=held.wanted, fallback_id=one.fallback_id)
    return (lambda: finished() | given_back()), disabled


def report(sent: Sequence[SentNotice], hit: set[UUID], disabled: set[UUID]) -> None:
    """Log what became of each message, `hit` being those whose lease held, and the destinations disabled."""
    for one in sent:
        held, attempt = one.notice.held, one.attempt
        if held.job_id not in hit:
            log.warning("lease lost", notice_id=str(held.job_id), was_sent=is_told(one))
        elif attempt is not None and is_told(one):
            log.info(
                "told",
                notice_id=str(held.job_id),
                happening=attempt.happening,
                took_ms=attempt.took_ms,
            )
        elif attempt is not None:
            log.warning(
                "not told",
                notice_id=str(held.job_id),
                destination_id=str(held.destination_id),
                failed=held.attempt_count + 1,
                error=attempt.result.error,
            )
    for destination_id in disabled:
        log.error("destination disabled", destination_id=str(destination_id))
