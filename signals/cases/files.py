"""Case files: `truth.ndjson`, one `<case>.ndjson` of events each, and files of answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from signals.errors import SettingsError

NEEDED = ("case", "kind", "fingerprint", "facts", "abstain", "forbidden_first", "canaries", "decoys")


def read_cases(folder: Path) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Read the events and the truth of every case.

    Raises:
        SettingsError: when the folder holds no cases, or a line is no JSON object with what a case needs.
    """
    truths = folder / "truth.ndjson"
    if not truths.is_file():
        raise SettingsError(f"--cases: {folder} holds no truth.ndjson; name a folder of case files")
    for truth in _lines(truths):
        missing = [
            name for name in NEEDED if name not in truth and not (name == "facts" and "causes" in truth)
        ]
        if missing:
            raise SettingsError(f"{truths.name}: a case lacks {', '.join(missing)}; add it to its line")
        truth.setdefault("facts", [])
        events = folder / f"{truth['case']}.ndjson"
        if not events.is_file():
            raise SettingsError(
                f"{events.name} is missing beside truth.ndjson; write the events of the case there"
            )
        yield sorted(_lines(events), key=lambda event: str(event.get("occurred_at", ""))), truth


def write_answer(out: TextIO, case: str, answer: dict[str, Any], seconds: float) -> None:
    """Append one answer line."""
    out.write(json.dumps({"case": case, "answer": answer, "seconds": round(seconds, 5)}, default=str) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise SettingsError(
                f"{path.name}, line {number}: not JSON ({error}); write one object a line"
            ) from error
        if not isinstance(found, dict):
            raise SettingsError(f"{path.name}, line {number}: not an object; write one object a line")
        yield found
