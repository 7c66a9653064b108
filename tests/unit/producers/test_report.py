"""The report of a run fits into a pod's termination message."""

import json

from producers.report import as_json, as_text
from producers.tally import Rejection, SendTally


def _report(reasons: int, message: str) -> dict[str, object]:
    tally = SendTally(sent=10 * reasons, accepted=1, trouble=message)
    for number in range(reasons):
        tally.reject(Rejection(f"code_{number}", "field", message), reasons - number)
    text = as_text(as_json(tally, {"mode": "normal"}))
    assert len(text.encode()) <= 4096
    read: dict[str, object] = json.loads(text)
    return read


def test_short_report_is_complete() -> None:
    report = _report(3, "no such type")
    assert [row["count"] for row in report["rejections"]] == [3, 2, 1]  # type: ignore[attr-defined]  # JSON
    assert "rejections_left_out" not in report


def test_rarest_reasons_are_dropped_first_and_counts_stay() -> None:
    report = _report(500, "\N{EURO SIGN}" * 5_000)
    kept = [row["code"] for row in report["rejections"]]  # type: ignore[attr-defined]  # JSON
    assert kept == [f"code_{number}" for number in range(len(kept))]
    assert report["rejections_left_out"] == 500 - len(kept)
    assert (report["sent"], report["accepted"]) == (5000, 1)
