"""`signals rules`: what is printed, and how a bad file is answered."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signals.cli import app
from signals.services.detection.count_lines import instant_text

START = 29_540_160  # a Monday, 00:00 UTC
RUN = CliRunner()
SIGNUPS = '"{""event_type"":""signup"",""environment"":""prod""}"'


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Four hours of a quiet error with an outage of 30 minutes at 02:00."""
    rows = (f"{instant_text(START + at)},checkout,{60 if 120 <= at < 150 else at % 3}\n" for at in range(240))
    path = tmp_path / "counts.csv"
    path.write_text("minute,series,count\n" + "".join(rows))
    return path


def _lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_replay_prints_one_object_an_incident(counts: Path) -> None:
    done = RUN.invoke(app, ["rules", "replay", str(counts)])
    assert done.exit_code == 0
    (incident,) = _lines(done.output)
    assert incident["series"] == "checkout"
    assert incident["opened_at"] == "2026-03-02T02:00:00Z"
    assert incident["resolved_at"] == "2026-03-02T03:45:00Z"
    assert (incident["rule"], incident["verdict"], incident["outage"]) == (
        "error-spike",
        "confirmed",
        "outage-1",
    )


def test_told_option_prints_outages_with_their_incidents(counts: Path) -> None:
    (outage,) = _lines(RUN.invoke(app, ["rules", "replay", str(counts), "--told"]).output)
    assert outage["outage"] == "outage-1"
    assert [one["series"] for one in outage["incidents"]] == ["checkout"]  # type: ignore[attr-defined]


def test_replay_reads_standard_input(counts: Path) -> None:
    from_file = RUN.invoke(app, ["rules", "replay", str(counts)])
    piped = RUN.invoke(app, ["rules", "replay", "-"], input=counts.read_text())
    assert piped.output == from_file.output


def test_printed_default_rules_replay_like_the_default(counts: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RUN.invoke(app, ["rules", "defaults"]).output)
    own = RUN.invoke(app, ["rules", "replay", str(counts), "--rules", str(rules)])
    assert own.output == RUN.invoke(app, ["rules", "replay", str(counts)]).output


def test_rules_of_a_file_take_the_place_of_the_default_ones(counts: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {name: mine, kind: floor_ratio, on: {event_type: error}, floor: 100}\n")
    (incident,) = _lines(RUN.invoke(app, ["rules", "replay", str(counts), "--rules", str(rules)]).output)
    assert incident["rule"] == "mine"


def test_replay_knows_the_days_of_a_calendar(tmp_path: Path) -> None:
    rows = (
        f"{instant_text(START + at)},signups,{1 + at % 2 if at // 1440 == 4 else 5}\n"
        for at in range(5 * 1440)
    )
    counts, days = tmp_path / "counts.csv", tmp_path / "days.json"
    counts.write_text("minute,series,count\n" + "".join(rows))
    days.write_text('[{"day": "2026-03-06", "kind": "day_off", "name": "Holiday"}]')
    assert _lines(RUN.invoke(app, ["rules", "replay", str(counts)]).output)
    known = RUN.invoke(app, ["rules", "replay", str(counts), "--calendar", str(days)])
    assert (known.exit_code, known.output) == (0, "")
    days.write_text('[{"day": "25.12.", "kind": "day_off", "name": "Holiday"}]')
    refused = RUN.invoke(app, ["rules", "replay", str(counts), "--calendar", str(days)])
    assert refused.exit_code == 1
    assert "$[0].day" in refused.stderr


def test_replay_says_which_events_no_rule_counts(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    named = '"{""event_type"":""http_request"",""route"":""/a""}"'
    file.write_text(f"minute,series,count\n2026-03-02T00:00:00Z,{named},900\n")
    done = RUN.invoke(app, ["rules", "replay", str(file)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no rule counts http_request events; give --rules FILE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{bad}"], "bad.csv, line 2: minute 'now' is no RFC 3339 time"),
        (["{missing}"], "cannot read"),
        (
            ["{counts}", "--rules", "{bad_rule}"],
            "rule mine: window: 90 cannot stand here; write a whole number",
        ),
        (["{counts}", "--rules", "{missing}"], "cannot read"),
        (["{counts}", "--time-zone", "Mars"], "--time-zone: time zone 'Mars' is unknown"),
    ],
)
def test_bad_input_is_named_on_standard_error(
    counts: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "bad.csv").write_text("minute,series,count\nnow,a,1\n")
    rule = "- {name: mine, kind: floor_ratio, on: {event_type: error}, window: 90}\n"
    (tmp_path / "bad.yaml").write_text(rule)
    paths = {
        "bad": tmp_path / "bad.csv",
        "missing": tmp_path / "missing",
        "counts": counts,
        "bad_rule": tmp_path / "bad.yaml",
    }
    given = [argument.format(**paths) for argument in arguments]
    done = RUN.invoke(app, ["rules", "replay", *given])
    assert done.exit_code == 1
    assert says in done.stderr
    assert done.stdout == ""
