"""Delivers leased messages: words each as its outage is now, sends it, and stores what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection, pipelined
from signals.clients.sealing import Seal
from signals.domain.notifications.delivery import FALLBACK_AFTER, DeliveryResult, retry_delay
from signals.domain.notifications.facts import HeldNotice, NoticeSubject
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.telling import ToldState, assumed, pace, uncertain
from signals.domain.notifications.wording import word
from signals.errors import SettingsError
from signals.services.notifications.attempts import (
    FailedDelivery,
    LeasedNotice,
    SentNotice,
    is_told,
    record,
    report,
)
from signals.services.notifications.sealed_targets import open_target
from signals.store import leases
from signals.store.notifications import destinations, notices, subjects
from signals.store.notifications.destinations import StoredDestination
from signals.store.notifications.notices import (
    QUEUE,
    FailedNotice,
    NoticeAttempt,
    NoticeLease,
    ToldNotice,
)

TURNS: Final = frozenset({"resolved", "reopened"})
"""Happenings after which a reader believes the opposite of before."""
LEASE: Final = timedelta(seconds=40)  # longer than any send may take (SIGNALS_NOTIFY_TIMEOUT_S and connects)

log = structlog.get_logger(__name__)


class Delivery:
    """Leases, sends and records messages. `chance` is in [0, 1), for the jitter."""

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
        self.sender = sender
        self._link_url = link_url
        self._chance = chance

    def exchange(self, sent: Sequence[SentNotice], *, most: int) -> list[LeasedNotice]:
        """Record what was sent and lease up to `most` due messages, with their facts: two round trips.

        An end, or a return, is noted in a third one before it is sent: a process that dies may have told it.

        Raises:
            DependencyUnavailable: when PostgreSQL is away. It may have been recorded or not: a repetition
                finds the leases gone.
        """
        told = [self._told(one) for one in sent if is_told(one)]
        failed = [self._failed(one, one.attempt) for one in sent if one.attempt and not is_told(one)]
        with pipelined(self._pool) as connection:
            hit, disabled = record(connection, told, failed)
            held = leases.lease_several(connection, QUEUE, lease=LEASE, most=most) if most else []
            ids = [one.job_id for one in held]
            # Read after the lease, by later snapshots: no version is told without its change.
            places = destinations.get_several(connection, {one.destination_id for one in held})
            ids_told = notices.subjects_of(connection, ids)
            found = subjects.read_told(connection, ids)
        report(sent, hit(), disabled())
        leased = self._worded(held, places(), ids_told(), found()) if held else []
        turning = [(one.held, asdict(state)) for one in leased if (state := _turned(one)) is not None]
        if turning:
            with pipelined(self._pool) as connection:
                notices.note_tried(connection, turning)
        return leased

    def send(self, notice: LeasedNotice) -> SentNotice:
        """Send one message, outside of any transaction. Safe to call from several threads."""
        if notice.fault:
            result = DeliveryResult(state="retry", error=notice.fault)
            return SentNotice(
                notice=notice, attempt=NoticeAttempt(happening="updated", result=result, took_ms=0)
            )
        if notice.message is None:
            return SentNotice(notice=notice, attempt=None)
        began = monotonic()
        result = self._send(notice.destination, notice.message)
        took_ms = round((monotonic() - began) * 1000)
        attempt = NoticeAttempt(happening=notice.message.happening, result=result, took_ms=took_ms)
        return SentNotice(notice=notice, attempt=attempt)

    def _worded(
        self,
        held: Sequence[NoticeLease],
        places: dict[UUID, StoredDestination],
        ids_told: dict[UUID, list[UUID]],
        found: dict[UUID, NoticeSubject],
    ) -> list[LeasedNotice]:
        leased = []
        for one in held:
            told = [found[subject_id] for subject_id in ids_told.get(one.job_id, ()) if subject_id in found]
            place, now = places[one.destination_id], datetime.now(UTC)
            try:
                state, message = word(_held(one), place.kind, told, link_url=self._link_url, at=now)
            except Exception as error:  # a row that cannot be worded must not keep all others back
                log.exception("message not worded by a fault of the program", notice_id=str(one.job_id))
                leased.append(LeasedNotice(held=one, destination=place, fault=_fault(error)))
            else:
                leased.append(LeasedNotice(held=one, destination=place, state=state, message=message))
        return leased

    def _send(self, destination: StoredDestination, message: NoticeMessage) -> DeliveryResult:
        if destination.state == "disabled":
            return DeliveryResult(state="refused", error="the destination is disabled")
        try:
            return self.sender.send(open_target(self._seal, destination), message, datetime.now(UTC))
        except SettingsError as error:
            return DeliveryResult(state="retry", error=str(error))
        except Exception as error:  # a fault of ours with one message must not keep all others back
            log.exception("message not sent by a fault of the program", kind=destination.kind)
            return DeliveryResult(state="retry", error=_fault(error))

    def _told(self, sent: SentNotice) -> ToldNotice:
        notice, attempt = sent.notice, sent.attempt
        held, state = notice.held, notice.state
        return ToldNotice(
            held=held,
            told_state=None if state is None else asdict(state),
            reference=(attempt.result.reference if attempt else None) or held.reference,
            pace=pace(
                notice.destination.kind,
                held.sends + 1,
                is_storm=held.is_storm,
                incidents=state.count if state else 1,
            ),
            attempt=attempt,
        )

    def _failed(self, sent: SentNotice, attempt: NoticeAttempt) -> FailedDelivery:
        held, result = sent.notice.held, attempt.result
        failures = held.attempt_count + 1
        is_refused = result.state == "refused"
        is_passed_on = is_refused or failures >= FALLBACK_AFTER
        delay = None if is_refused else retry_delay(failures, result.retry_after, self._chance())
        return FailedDelivery(
            notice=FailedNotice(
                held=held, attempt=attempt, delay=delay, tried_state=_tried(sent.notice, result)
            ),
            fallback_id=sent.notice.destination.fallback_id if is_passed_on else None,
        )


def _fault(error: Exception) -> str:
    return f"a fault of the program ({type(error).__name__}); the notifier's log says more"


def _held(lease: NoticeLease) -> HeldNotice:
    return HeldNotice(
        id=lease.job_id,
        subject_id=lease.subject_id,
        is_storm=lease.is_storm,
        is_held=lease.held_by is not None,
        is_rescued=lease.is_rescued,
        wanted=lease.wanted,
        told=ToldState.read(lease.told_state),
        tried=ToldState.read(lease.tried_state),
        reference=lease.reference,
        sends=lease.sends,
    )


def _turned(notice: LeasedNotice) -> ToldState | None:
    """Return what may be told from now on of a message that says that it is over, or goes on; else None."""
    if notice.state is None or notice.message is None or notice.message.happening not in TURNS:
        return None
    held = _held(notice.held)
    return uncertain(held.told, held.tried, notice.state)


def _tried(notice: LeasedNotice, result: DeliveryResult) -> Mapping[str, Any] | None:
    """Return what may have been told without an answer, None when that is as it was."""
    if notice.state is None:
        return notice.held.tried_state
    held = _held(notice.held)
    tried = held.tried
    if held.is_rescued and tried is None:
        tried = assumed(held.told, notice.state)
    if result.is_uncertain:
        tried = uncertain(held.told, tried, notice.state)
    return None if tried is None else asdict(tried)
