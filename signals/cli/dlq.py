"""`signals dlq list|show|requeue|drop`: what no stage could handle, and what becomes of it."""

import json
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from signals.cli.core_client import load_environment
from signals.cli.options import AsJson
from signals.cli.readable import ago, console, moment, plain, safe_text
from signals.clients.kafka.dead_letter_log import open_dead_letter_log
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool
from signals.services.operations.dead_letters import DeadLetters, LetterSelection, StoredLetter
from signals.settings import KafkaSettings, PostgresSettings

SHOWN_BYTES: Final = 8 * 1024  # of a value; --raw has no limit

StageOption = Annotated[
    str | None, typer.Option(help="Only letters of this stage: incident-engine or indexer.")
]
Error = Annotated[str | None, typer.Option(help="Only letters with this error, as `list` shows it.")]
Ids = Annotated[list[str] | None, typer.Argument(help="As `list` shows them, like 0:17 or 17.")]
All = Annotated[bool, typer.Option("--all", help="Every undecided letter, or those of --stage and --error.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

dlq = typer.Typer(help="Dead letters: records that no stage could handle.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dlq, name="dlq")


@dlq.command("list")
def list_letters(
    stage: StageOption = None,
    error: Error = None,
    settled: Annotated[bool, typer.Option("--settled", help="Also those requeued or dropped.")] = False,
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first instead of newest.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List dead letters: where they came from, which stage gave up, and why."""
    selection = LetterSelection(stage=stage, error=error, settled=settled)
    with _dead_letters() as letters:
        found = letters.select(letters.ranges(), selection, newest_first=not oldest)
        listed = list(islice(found, limit + 1))
    if as_json:
        print(json.dumps([_summary(letter) for letter in listed[:limit]], indent=2))
        return
    out = console()
    out.print(_table(listed[:limit]) if listed else "No dead letters.")
    if len(listed) > limit:
        out.print(f"There are more; raise --limit above {limit} or narrow with --stage and --error.")


@dlq.command("show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the record's bytes, nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: its origin, headers and original bytes."""
    with _dead_letters() as letters:
        letter = _find(letters, letter_id)
    if raw:
        sys.stdout.buffer.write(letter.record.value)
    elif as_json:
        print(json.dumps(_summary(letter) | _content(letter), indent=2))
    else:
        _print(letter)


@dlq.command("requeue")
def requeue(
    ids: Ids = None, everything: All = False, stage: StageOption = None, error: Error = None, yes: Yes = False
) -> None:
    """Send records back to the stage that gave them up, with their bytes, key and headers."""
    with _dead_letters() as letters, open_publisher(KafkaSettings.from_env()) as publisher:
        chosen = _choose(letters, ids, everything=everything, stage=stage, error=error)
        _confirm("Requeue", chosen, yes=yes)
        _tell("Requeued", letters.requeue(publisher, chosen.read()), chosen)


@dlq.command("drop")
def drop(
    ids: Ids = None, everything: All = False, stage: StageOption = None, error: Error = None, yes: Yes = False
) -> None:
    """Let dead letters go: they are listed no more, and end with the topic's retention."""
    with _dead_letters() as letters:
        chosen = _choose(letters, ids, everything=everything, stage=stage, error=error)
        _confirm("Drop", chosen, yes=yes)
        _tell("Dropped", letters.drop(chosen.read()), chosen)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Letters by kind, and how to read them: there may be more than fit into memory."""

    kinds: Counter[str]
    read: Callable[[], Iterable[StoredLetter]]


def _choose(
    letters: DeadLetters, ids: Sequence[str] | None, *, everything: bool, stage: str | None, error: str | None
) -> _Chosen:
    if bool(ids) == everything or (ids and (stage or error)):
        raise typer.BadParameter("name letters by id, or say --all, with --stage and --error if you like")
    if ids:
        named = [_find(letters, letter_id) for letter_id in dict.fromkeys(ids)]
        return _Chosen(Counter(map(_kind, named)), lambda: named)
    within = letters.ranges()  # a letter that is written again meanwhile lies outside
    selection = LetterSelection(stage=stage, error=error)

    def read() -> Iterator[StoredLetter]:
        return letters.select(within, selection, newest_first=False)

    return _Chosen(Counter(map(_kind, read())), read)


def _confirm(verb: str, chosen: _Chosen, *, yes: bool) -> None:
    for kind, count in chosen.kinds.most_common():
        typer.echo(f"{count} {kind}", err=True)
    if chosen.kinds and not yes:
        typer.confirm(f"{verb} {_letters(chosen.kinds.total())}?", abort=True, err=True)


def _tell(done: str, count: int, chosen: _Chosen) -> None:
    left = chosen.kinds.total() - count
    print(f"{done} {_letters(count)}." + (f" {left} left: decided already, or not ours." if left else ""))
    if left:
        raise typer.Exit(1)


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _kind(stored: StoredLetter) -> str:
    letter = stored.letter
    return plain(f"{letter.stage} {letter.error}") if letter else "of unknown origin"


def _find(letters: DeadLetters, letter_id: str) -> StoredLetter:
    partition, colon, offset = letter_id.rpartition(":")
    if not offset.isdecimal() or (colon and not partition.isdecimal()):
        raise typer.BadParameter(f"{plain(letter_id)} is no letter's id; it looks like 0:17")
    found = letters.find(int(partition or 0), int(offset))
    if found is None:
        typer.echo(f"signals: there is no dead letter {plain(letter_id)}, or no more", err=True)
        raise typer.Exit(1)
    return found


def _summary(stored: StoredLetter) -> dict[str, Any]:
    place, letter = stored.place, stored.letter
    origin = letter and {
        "topic": letter.record.topic,
        "partition": letter.record.partition,
        "offset": letter.record.offset,
    }
    return {
        "id": f"{place.partition}:{place.letter_offset}",
        "buried_at": place.buried_at.isoformat(),
        "stage": letter and letter.stage,
        "error": letter and letter.error,
        "reason": letter and letter.reason,
        "origin": origin,
        "size_bytes": len(stored.record.value),
        "verdict": stored.verdict,
    }


def _content(stored: StoredLetter) -> dict[str, Any]:
    """Return the bytes as base64: JSON has no other exact way."""
    record = stored.letter.record if stored.letter else stored.record
    return {
        "key_base64": None if record.key is None else b64encode(record.key).decode(),
        "headers": [[name, b64encode(_bytes(value)).decode()] for name, value in record.headers or ()],
        "value_base64": b64encode(record.value).decode(),
    }


def _table(letters: Sequence[StoredLetter]) -> Table:
    now = datetime.now(UTC)
    table = Table("id", "age", "stage", "error", "from", "bytes", "reason", box=None, pad_edge=False)
    for row in map(_summary, letters):
        origin = row["origin"] or {"partition": "?", "offset": "?"}
        verdict = f"{row['verdict']}; " if row["verdict"] else ""
        table.add_row(
            row["id"],
            ago(now - datetime.fromisoformat(row["buried_at"])),
            plain(row["stage"]),
            plain(row["error"]),
            f"{origin['partition']}:{origin['offset']}",
            str(row["size_bytes"]),
            verdict + plain(row["reason"]),
        )
    return table


def _print(stored: StoredLetter) -> None:
    row, letter = _summary(stored), stored.letter
    record = letter.record if letter else stored.record
    print(f"dead letter {row['id']}, written {moment(row['buried_at'])}, {row['verdict'] or 'undecided'}")
    if letter:
        print(f"{plain(letter.stage)} gave up: {plain(letter.error)}; {plain(letter.reason)}")
        print(f"from {plain(record.topic)}, partition {record.partition}, offset {record.offset}")
    print(f"key {'none' if record.key is None else safe_text(record.key)}")
    for name, value in record.headers or ():
        print(f"header {plain(name)}: {safe_text(_bytes(value))}")
    print(f"value, {len(record.value)} bytes")
    print(safe_text(record.value[:SHOWN_BYTES]))
    if len(record.value) > SHOWN_BYTES:
        print(f"… and {len(record.value) - SHOWN_BYTES} bytes more; --raw writes them all")


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


@contextmanager
def _dead_letters() -> Iterator[DeadLetters]:
    load_environment()
    with (
        open_pool(PostgresSettings.from_env(), size=1) as pool,
        open_dead_letter_log(KafkaSettings.from_env()) as log,
    ):
        yield DeadLetters(log, pool)
