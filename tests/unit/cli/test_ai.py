"""`signals ai eval` on case files and on made cases."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signals.cases.making import make_case
from signals.cli import app
from signals.errors import SettingsError
from tests.support.model_server import Reply, open_model_server

RUN = CliRunner()


def write_case(folder: Path, kind: str) -> None:
    events, truth = make_case(kind, 1)
    (folder / f"{truth['case']}.ndjson").write_text("\n".join(map(json.dumps, events)))
    with (folder / "truth.ndjson").open("a") as truths:
        truths.write(json.dumps(truth) + "\n")


def test_case_files_are_scored_and_answers_written(tmp_path: Path) -> None:
    write_case(tmp_path, "one_pod")
    out = tmp_path / "answers.ndjson"
    finished = RUN.invoke(app, ["ai", "eval", "--cases", str(tmp_path), "--answers", str(out), "--json"])
    assert finished.exit_code == 0, finished.output
    assert json.loads(finished.output)["at_1"]["value"] == 1
    (line,) = out.read_text().splitlines()
    answered = json.loads(line)
    assert answered["case"] == "one_pod-1"
    assert {"title", "impact", "likely_causes", "evidence", "next_steps", "confidence"} <= set(
        answered["answer"]
    )
    assert answered["seconds"] > 0


def test_figures_are_printed_as_a_table(tmp_path: Path) -> None:
    write_case(tmp_path, "blind")
    finished = RUN.invoke(app, ["ai", "eval", "--cases", str(tmp_path)])
    assert "cause named first" in finished.output
    assert "1.000" in finished.output


def fails(*arguments: str) -> str:
    finished = RUN.invoke(app, ["ai", "eval", *arguments])
    assert isinstance(finished.exception, SettingsError)
    return str(finished.exception)


def test_bad_input_names_the_remedy(tmp_path: Path) -> None:
    assert "holds no truth.ndjson" in fails("--cases", str(tmp_path))
    truths = tmp_path / "truth.ndjson"
    truths.write_text("{}\n")
    assert "lacks case" in fails("--cases", str(tmp_path))
    truths.write_text("nonsense\n")
    assert "line 1" in fails("--cases", str(tmp_path))
    truths.write_text("")
    assert "no case" in fails("--cases", str(tmp_path))
    events, truth = make_case("blind", 1)
    truths.write_text(json.dumps(truth))
    assert "is missing" in fails("--cases", str(tmp_path))
    (tmp_path / "blind-1.ndjson").write_text(
        json.dumps({**events[0], "event_id": None, "occurred_at": "soon"})
    )
    assert "cannot be read" in fails("--cases", str(tmp_path))


def test_scripted_model_is_scored_with_its_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_case(tmp_path, "one_pod")
    monkeypatch.chdir(tmp_path)
    with open_model_server() as server:
        monkeypatch.setenv("GRADIENT_BASE_URL", server.base_url)
        monkeypatch.setenv("GRADIENT_API_KEY", "k")
        monkeypatch.setenv("GRADIENT_MODEL", "scripted")
        # The scripted answer invents a cause: the comparison's own takes its place.
        server.reply = Reply(changes={"likely_causes": ["A database is slow."]})
        finished = RUN.invoke(app, ["ai", "eval", "--model", "--cases", str(tmp_path), "--json"])
    assert finished.exit_code == 0, finished.output
    found = json.loads(finished.output)
    assert (found["at_1"]["value"], found["tokens_in"], found["tokens_out"]) == (1, 1200, 80)
    assert "of these requests fail" in server.calls[0].user


def test_model_without_a_key_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIENT_API_KEY", "")
    assert "GRADIENT_API_KEY" in fails("--model")


def test_unknown_kind_is_named(tmp_path: Path) -> None:
    assert "there is no nonsense" in fails("--kind", "nonsense")
