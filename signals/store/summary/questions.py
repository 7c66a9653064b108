"""Questions about incidents, and their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection

ASK: LiteralString = """
INSERT INTO pipeline.questions (id, incident_id, project_id, actor, question)
SELECT %(id)s, %(incident_id)s, %(project_id)s, %(actor)s, %(question)s
WHERE (SELECT count(*) FROM pipeline.questions
       WHERE project_id = %(project_id)s
         AND asked_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') < %(per_day)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuestion:
    """A question of a person or a program about an incident."""

    id: UUID
    incident_id: UUID
    project_id: str
    actor: str
    question: str


def ask(connection: Connection, new: NewQuestion, *, per_day: int) -> bool:
    """Store a question; False when the project has asked so many today (UTC) already.

    Questions at the same moment may together go beyond it.
    """
    values = {
        "id": new.id,
        "incident_id": new.incident_id,
        "project_id": new.project_id,
        "actor": new.actor,
        "question": new.question,
        "per_day": per_day,
    }
    return connection.execute(ASK, values).rowcount == 1


FINISH: LiteralString = "UPDATE pipeline.questions SET answer = %(answer)s WHERE id = %(id)s"


def finish(connection: Connection, question_id: UUID, answer: Mapping[str, object]) -> int:
    """Store the answer of a question."""
    return connection.execute(FINISH, {"id": question_id, "answer": Jsonb(dict(answer))}).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuestion:
    """A question with its answer: None while it is under way, and when its reader left."""

    id: UUID
    question: str
    actor: str
    asked_at: datetime
    answer: dict[str, Any] | None


LIST: LiteralString = """
SELECT id, question, actor, asked_at, answer FROM pipeline.questions
WHERE incident_id = %(incident_id)s AND project_id = %(project_id)s
ORDER BY asked_at DESC, id
LIMIT %(rows)s
"""


def of_incident(
    connection: Connection, project_id: str, incident_id: UUID, *, rows: int
) -> Sequence[AnsweredQuestion]:
    """Return the newest questions about an incident of a project."""
    values = {"project_id": project_id, "incident_id": incident_id, "rows": rows}
    with connection.cursor(row_factory=class_row(AnsweredQuestion)) as cursor:
        return cursor.execute(LIST, values).fetchall()
