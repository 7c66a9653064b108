"""Delivers one leased message: renders the outage as it is now, sends, and stores what came of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection, transaction
from signals.clients.sealing import Seal
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.delivery import FALLBACK_AFTER, DeliveryResult, retry_delay
from signals.domain.notifications.messages import (
    Happening,
    MessageHead,
    NoticeMessage,
    compose_storm,
    summary_mark,
)
from signals.domain.notifications.outage_messages import (
    ToldOutage,
    compose_outage,
    outage_status,
    rank,
    title_of_outage,
)
from signals.domain.notifications.telling import (
    ToldState,
    happening,
    is_muted,
    pace,
    storm_happening,
    worst_first,
)
from signals.errors import SettingsError
from signals.services.notifications.destinations import open_target
from signals.store import leases
from signals.store.notifications import destinations, notices, subjects
from signals.store.notifications.destinations import StoredDestination
from signals.store.notifications.notices import QUEUE, NoticeLease, ToldNotice
from signals.store.notifications.subjects import NoticeSubject

LEASE: Final = timedelta(seconds=40)  # longer than any send may take (SIGNALS_NOTIFY_TIMEOUT_S and connects)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A leased message with what it must say; `message` is None when there is nothing to say."""

    held: NoticeLease
    destination: StoredDestination
    state: ToldState | None
    message: NoticeMessage | None


class Delivery:
    """Sends due messages; safe to call from several threads. `chance` is in [0, 1), for the jitter."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        seal: Seal,
        sender: Sender,
        *,
        link_url: str,
        chance: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._seal = seal
        self._sender = sender
        self._link_url = link_url
        self._chance = chance

    def deliver_one(self) -> bool:
        """Lease one due message and send it; False when none is due.

        Raises:
            DependencyUnavailable: when PostgreSQL is away; a message under way is sent again after its lease.
        """
        task = self._take()
        if task is None:
            return False
        if task.message is None:
            self._finish(task, None, took_ms=0)
            return True
        began = monotonic()
        result = self._send(task, task.message)
        took_ms = round((monotonic() - began) * 1000)
        if result.state == "told":
            self._finish(task, result, took_ms=took_ms)
        else:
            self._fail(task, task.message.happening, result, took_ms=took_ms)
        return True

    def _take(self) -> _Task | None:
        """Lease a message and read what it is about: one transaction, and no message without its facts."""
        with transaction(self._pool) as connection:
            held = leases.lease(connection, QUEUE, lease=LEASE)
            if held is None:
                return None
            destination = destinations.get(connection, held.destination_id)
            assert destination is not None, "the foreign key says that it exists"
            ids = notices.subjects_of(connection, held.job_id)
            found = subjects.read(connection, ids)
        told = [found[subject_id] for subject_id in ids if subject_id in found]
        state, message = self._say(held, destination.kind, told)
        return _Task(held=held, destination=destination, state=state, message=message)

    def _say(
        self, held: NoticeLease, kind: str, told: list[NoticeSubject]
    ) -> tuple[ToldState | None, NoticeMessage | None]:
        if not told:
            return None, None
        before = ToldState.read(held.told_state)
        head = MessageHead(
            notice_id=held.job_id,
            version=held.wanted,
            at=datetime.now(UTC),
            subject_id=held.subject_id,
            link_url=self._link_url,
            reference=held.reference,
        )
        if held.is_storm:
            state = worst_first([_state_of([one]) for one in told])
            if storm_happening(before, state) is None:
                return state, None
            in_order = sorted((one.told for one in told), key=rank)
            return state, compose_storm(tuple(in_order), head, is_first=before is None)
        state = _state_of(told)
        if before is None and state.status == "resolved" and held.held_by is not None:
            return None, None  # it began and ended in maintenance
        what = happening(before, state, kind)
        if what is None:
            return before if is_muted(before, state) else state, None
        return state, compose_outage(_outage_of(told), [one.told for one in told], what, head)

    def _send(self, task: _Task, message: NoticeMessage) -> DeliveryResult:
        if task.destination.state == "disabled":
            return DeliveryResult(state="refused", error="the destination is disabled")
        try:
            target = open_target(self._seal, task.destination)
        except SettingsError as error:
            return DeliveryResult(state="retry", error=str(error))
        return self._sender.send(target, message, datetime.now(UTC))

    def _finish(self, task: _Task, result: DeliveryResult | None, *, took_ms: int) -> None:
        held = task.held
        told = ToldNotice(
            version=held.wanted,
            told_state=None if task.state is None else asdict(task.state),
            reference=held.reference if result is None else result.reference or held.reference,
            sent=result is not None,
            pace=pace(
                task.destination.kind,
                held.sends + 1,
                is_storm=held.is_storm,
                incidents=task.state.count if task.state else 1,
            ),
        )
        with transaction(self._pool) as connection:
            if not notices.finish(connection, held, told):
                log.warning("message sent, lease lost", notice_id=str(held.job_id))
                return
            if result is not None and task.message is not None:
                what = task.message.happening
                notices.log_attempt(connection, held, what, result, took_ms=took_ms)
                notices.note_success(connection, held.destination_id)
        if task.message is not None:
            log.info("told", notice_id=str(held.job_id), happening=task.message.happening, took_ms=took_ms)

    def _fail(self, task: _Task, what: Happening, result: DeliveryResult, *, took_ms: int) -> None:
        held, destination = task.held, task.destination
        failed = held.attempt_count + 1
        given_up = result.state == "refused" or failed >= held.max_attempts
        error = result.error or "it failed"
        with transaction(self._pool) as connection:
            if given_up:
                hit = leases.fail(connection, QUEUE, held, attempt_count=failed, error=error)
            else:
                delay = retry_delay(failed, result.retry_after, self._chance())
                hit = leases.retry_later(
                    connection, QUEUE, held, attempt_count=failed, delay=delay, error=error
                )
            if not hit:
                log.warning("message not sent, lease lost", notice_id=str(held.job_id))
                return
            notices.log_attempt(connection, held, what, result, took_ms=took_ms)
            disabled = notices.note_failure(connection, destination.id, result)
            fallback = destination.fallback_id
            if fallback is not None and (given_up or failed >= FALLBACK_AFTER):
                notices.pass_on(connection, held, fallback)
        log.warning(
            "not told",
            notice_id=str(held.job_id),
            destination_id=str(destination.id),
            failed=failed,
            given_up=given_up,
            error=error,
        )
        if disabled:
            log.error("destination disabled", destination_id=str(destination.id), error=error)


def _state_of(subjects: Sequence[NoticeSubject]) -> ToldState:
    """Return the state of an outage's incidents; the summary is that of the first one."""
    told = [one.told for one in subjects]
    unresolved = [one for one in told if one.status != "resolved"]
    worst = max(unresolved or told, key=lambda one: IncidentSeverity.parse(one.severity))
    first = min(subjects, key=lambda one: (one.told.opened_at, one.told.id))
    outage = _outage_of(subjects)
    return ToldState(
        status=outage_status(told),
        severity=worst.severity,
        title=title_of_outage(outage, told),
        has_summary=first.has_summary,
        count=len(told),
        assignee=outage.assignee,
        is_snoozed=outage.is_snoozed(worst.severity),
        has_findings=first.has_findings,
        summary=summary_mark(first.told),
    )


def _outage_of(subjects: Sequence[NoticeSubject]) -> ToldOutage:
    """Return the outage that most of a message's incidents are in: they may just be moving."""
    counts = Counter(one.outage.id for one in subjects)
    return max((one.outage for one in subjects), key=lambda outage: (counts[outage.id], outage.id))
