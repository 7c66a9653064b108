"""Stores the versions of a job's summary: at most one of each name, and none that repeats what is stored."""

from typing import Final
from uuid import UUID, uuid5

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.summary.builtin import BUILTIN_MODEL
from signals.domain.summary.checking import CheckedSummary
from signals.services.summary.case import SummaryCase
from signals.store.incidents import incident_changes
from signals.store.summary import ai_outputs, incident_briefs
from signals.store.summary.ai_jobs import JobLease

FIRST: Final = "first"  # the incident's own numbers
FOUND: Final = "found"  # findings that a later version may better
ASKED: Final = "asked"  # a model's answer, before its own search
ACTOR: Final = "ai-worker"


def output_id(held: JobLease, name: str) -> UUID:
    """Return the id of a job's version."""
    return uuid5(held.job_id, name)


def store(
    connection: Connection,
    held: JobLease,
    model: str,
    summary: CheckedSummary,
    *,
    name: str = ai_outputs.OUTPUT_TYPE,
) -> None:
    """Store a version in the caller's transaction; the default name is the job's last one."""
    ai_outputs.insert(
        connection,
        output_id=output_id(held, name),
        incident_id=held.incident_id,
        model=model,
        content=summary.to_json(),
    )


def store_first(
    pool: ConnectionPool[Connection], held: JobLease, case: SummaryCase, note: str, *, retitles: bool
) -> None:
    """Store the built-in summary, unless the incident has one; `note` says why it answers.

    It gives the incident its title when it `retitles`; otherwise a model will.
    """
    with transaction(pool) as connection:
        incident_changes.act_on(connection, held.incident_id, ACTOR)
        if ai_outputs.has_any(connection, held.incident_id):
            return
        if retitles:
            incident_briefs.retitle(connection, held.incident_id, case.builtin.title)
        store(connection, held, BUILTIN_MODEL, case.builtin_summary(note), name=FIRST)


def store_found(pool: ConnectionPool[Connection], held: JobLease, case: SummaryCase, note: str) -> None:
    """Store findings before the job ends: the index is behind, or the model takes its time."""
    with transaction(pool) as connection:
        incident_changes.act_on(connection, held.incident_id, ACTOR)
        store(connection, held, BUILTIN_MODEL, case.builtin_summary(note), name=FOUND)
