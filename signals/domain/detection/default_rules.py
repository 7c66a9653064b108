"""The rules of a new project. The first two are locked: Rules A and B (docs/requirements.md, R24 and R25)."""

from typing import Final

from shared_types import EventType
from signals.domain.detection.rule_types import (
    Baseline,
    Drop,
    EventSelection,
    FloorRatio,
    Rule,
    RuleWindow,
    Seasonal,
)

ERROR_SPIKE: Final = FloorRatio(
    name="error-spike",
    on=EventSelection(event_type=EventType.ERROR),
    window=5,
    floor=30,
    ratio=3.0,
    baseline=Baseline(length=60, minimum=1.0),
    locked=True,
)
SIGNUP_DROP: Final = Drop(
    name="signup-drop",
    on=EventSelection(event_type=EventType.SIGNUP),
    per=("environment",),
    window=15,
    ceiling=10,
    baseline=Baseline(length=60, minimum=40.0),
    locked=True,
)
# Windows and ratios: chosen on validation seeds (docs/concepts/detection.md).
ERRORS_ABOVE_USUAL: Final = Seasonal(
    name="errors-above-usual",
    on=EventSelection(event_type=EventType.ERROR),
    direction="up",
    windows=(
        RuleWindow(length=5, floor=60, ratio=2.5),
        RuleWindow(length=5, floor=20, ratio=2.5, spread=4),
        RuleWindow(length=15, floor=10, ratio=3, spread=5),
        RuleWindow(length=15, floor=20, ratio=2, spread=5),
        RuleWindow(length=60, floor=20, ratio=2, spread=8),
        RuleWindow(length=60, floor=30, ratio=5, against="usual"),
    ),
)
SIGNUPS_BELOW_USUAL: Final = Seasonal(
    name="signups-below-usual",
    on=EventSelection(event_type=EventType.SIGNUP),
    per=("environment",),
    direction="down",
    guard=1.0,
    windows=(
        RuleWindow(length=15, floor=8, ratio=0.5, significance=5),
        RuleWindow(length=30, floor=60, ratio=0.75, significance=6),
        RuleWindow(length=60, floor=8, ratio=0.5, significance=5),
        RuleWindow(length=60, floor=60, ratio=0.78, significance=4.5),
        RuleWindow(length=60, floor=8, ratio=0.35, significance=5, against="usual"),
        RuleWindow(length=180, floor=10, ratio=0.4, significance=4.5, against="usual"),
        RuleWindow(length=360, floor=10, ratio=0.4, significance=4.5, against="usual"),
        RuleWindow(length=720, floor=10, ratio=0.4, significance=4.5, against="usual"),
        RuleWindow(length=120, floor=100, ratio=0.8, significance=3.5, against="today"),
        RuleWindow(length=180, floor=100, ratio=0.8, significance=3.5, against="today"),
        RuleWindow(length=240, floor=100, ratio=0.8, significance=3.5, against="today"),
        RuleWindow(length=360, floor=100, ratio=0.8, significance=3.5, against="today"),
    ),
)
DEFAULT_RULES: Final[tuple[Rule, ...]] = (ERROR_SPIKE, SIGNUP_DROP, ERRORS_ABOVE_USUAL, SIGNUPS_BELOW_USUAL)
"""The rules of a new project. The first two are Rule A and Rule B."""
