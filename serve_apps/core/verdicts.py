"""Parameter `verdict` of lists: one vocabulary for incidents and outages.

The defaults differ on purpose. The list of incidents leaves none out that a required rule opened; the list of
outages holds what people are notified about.
"""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from signals.domain.incidents.episode import IncidentVerdict

VerdictWanted = Literal["confirmed", "unconfirmed", "learning", "any"]
TOLD: Final = "confirmed"
"""The verdict of those that people are notified about."""
ANY: Final = "any"

AnyUnlessAsked = Annotated[
    VerdictWanted,
    BeforeValidator(lambda value: value or ANY),
    Field(description="people are notified about confirmed ones; without it any: all of them"),
]
ToldUnlessAsked = Annotated[
    VerdictWanted,
    BeforeValidator(lambda value: value or TOLD),
    Field(description="without it confirmed: those that people are notified about; any: all of them"),
]


def verdict_of(wanted: VerdictWanted) -> IncidentVerdict | None:
    """Return the one verdict that is wanted, None for any."""
    return None if wanted == "any" else wanted
