"""Charts keep their marks inside the frame, at the places that the numbers say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from serve_apps.console.charts import Compared, histograms, series_charts
from serve_apps.console.words import Clock
from signals.domain.incidents.charts import MinuteCount
from signals.services.incidents.incident_chart import Chart, DeployMark

START = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
CLOCK = Clock(START + timedelta(hours=2), ZoneInfo("Asia/Kolkata"))
MINUTE = timedelta(minutes=1)


def chart(counts: list[int], *deploys: DeployMark) -> Chart:
    minutes = [MinuteCount(at=START + MINUTE * n, count=count) for n, count in enumerate(counts)]
    return Chart(metric="error_count", baseline_per_minute=None, minutes=minutes, deploys=list(deploys))


def deploy(minute: int, release: str) -> DeployMark:
    at = START + MINUTE * minute
    return DeployMark(id=UUID(int=minute + 1), at=at, release=release, service=None, status="success")


def test_line_shows_the_sum_that_the_rule_compared() -> None:
    compared = Compared(window=5, threshold=30, normal=None, opened_at=START + MINUTE * 9)
    wide, _ = series_charts(chart([0] * 5 + [10] * 5), compared, CLOCK)
    heights = [float(point.partition(",")[2]) for point in wide.line.split()]
    assert wide.fired is not None
    assert wide.fired[1] == heights[9] == min(heights)  # 50 in five minutes, the highest point
    assert wide.threshold is not None
    assert heights[7] == wide.threshold  # 30 in five minutes
    assert heights[4] == wide.frame.floor


def test_everything_stays_inside_the_frame() -> None:
    compared = Compared(window=5, threshold=30, normal=4, opened_at=START + MINUTE * 100)
    marks = [deploy(n, f"2026.03.{n}-long-name-of-a-release") for n in range(0, 180, 9)]
    for found in series_charts(chart([n % 37 for n in range(180)], *marks), compared, CLOCK):
        frame = found.frame
        points = [tuple(map(float, point.split(","))) for point in found.line.split()]
        assert all(frame.left <= x <= frame.right and 0 <= y <= frame.floor for x, y in points)
        assert all(frame.left <= flag.place <= frame.right for flag in found.deploys)
        labelled = [flag for flag in found.deploys if flag.label]
        assert 0 < len(labelled) < len(found.deploys)  # those that would collide have none
        assert all(0 <= row.place <= frame.floor for row in frame.rows)
        assert len(frame.columns) <= 9


def test_axis_follows_the_readers_zone() -> None:
    (wide, _) = series_charts(chart([1] * 60), None, CLOCK)
    assert [mark.text for mark in wide.frame.columns][:3] == ["16:30", "16:40", "16:50"]


def test_bar_stands_for_its_span() -> None:
    wide, small = histograms(
        [(START, 4), (START + 10 * MINUTE, 0), (START + 20 * MINUTE, 2)], 10 * MINUTE, CLOCK
    )
    first, empty, last = wide.bars
    assert (first.since, first.until) == (START, START + 10 * MINUTE)
    assert abs(first.height - 2 * last.height) < 0.2
    assert empty.height == 0
    assert last.x + last.width <= wide.frame.right
    assert small.frame.width < wide.frame.width
    assert list(histograms([], MINUTE, CLOCK)) == []
