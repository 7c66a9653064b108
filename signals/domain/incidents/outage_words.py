"""Says in words what an outage is, and why its incidents belong together."""

from collections.abc import Mapping
from typing import Final

from signals.domain.incidents.outages import EVERYTHING, REVISE_MINUTES, RULE, Value

NAMES: Final[Mapping[str, str]] = {
    "error_code": "error code {value}",
    "route": "route {value}",
    "environment": "environment {value}",
    "release": "release {value}",
    RULE: "rule {value}",
    EVERYTHING[0]: "the whole project",
}


def name_of(cause: Value) -> str:
    """Name a cause; the value is text of events, hence hostile."""
    attribute, value = cause
    return NAMES.get(attribute, "{attribute} {value}").format(attribute=attribute, value=value)


def title_of(cause: Value | None, *, series: int, first_title: str) -> str:
    """Return an outage's title: its only series' own, else the cause and the number of series."""
    if series == 1:
        return first_title
    if cause is None:
        return f"{first_title} (and {series - 1} more series)"
    name = name_of(cause)
    return f"{name[0].upper()}{name[1:]}: {series} series left their normal"


def explanation_of(
    cause: Value | None,
    *,
    fired: int | None,
    active: int | None,
    series: int,
    is_settled: bool,
    failures: int = 0,
) -> str:
    """Say why the incidents are one outage, or that this is not decided yet.

    `failures` is how often their division by cause failed.
    """
    if cause is not None and fired is not None and active is not None:
        of = "of" if cause[0] == RULE else "with"
        name = "series" if cause == EVERYTHING else f"series {of} {name_of(cause)}"
        text = f"{fired} of {active} {name} that had events in the day before left their normal together."
    elif failures and is_settled:
        text = f"{series} series left their normal within minutes. Their division by cause failed."
    elif series == 1:
        text = "One series left its normal."
    else:
        text = f"{series} series left their normal within minutes; their cause is not decided yet."
    pending = f" Incidents may join or leave until {REVISE_MINUTES} minutes after the first."
    if failures and not is_settled:
        pending = f" Their division by cause failed {failures} times, and is tried again." + pending
    return text if is_settled else text + pending
