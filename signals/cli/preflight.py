"""`signals preflight`: is every server there, does it let us in, can it do what we need."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from signals.cli.core_client import load_environment
from signals.cli.readable import plain
from signals.domain.operations.findings import REQUIRED, PreflightCheck, failed, report
from signals.services.operations.preflight import preflight as check_all


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(preflight)


def preflight(
    report_to: Annotated[
        Path | None,
        typer.Option("--report", help="Write the findings as JSON to this file, at most 4096 bytes."),
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(help="A check that must succeed as well, like topics; repeatable.")
    ] = None,
) -> None:
    """Check every server that the environment names; exit code 1 when one cannot be used."""
    load_environment()
    required = REQUIRED | {_check(name) for name in require or ()}
    findings = check_all()
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check:<10}  {plain(finding.message)}")
    if report_to is not None:
        report_to.write_bytes(report(findings))
    if failed(findings, required):
        raise typer.Exit(1)


def _check(name: str) -> PreflightCheck:
    known: dict[str, PreflightCheck] = {check: check for check in get_args(PreflightCheck)}
    if name not in known:
        raise typer.BadParameter(f"there is no check {plain(name)}; there are {', '.join(known)}")
    return known[name]
