"""Counts from a file: every bad line is named with its remedy."""

import pytest

from signals.services.detection.count_lines import BadLine, CountLine, instant_text, read_counts

HEADER = "minute,series,count"


def _read(*lines: str) -> list[CountLine]:
    return list(read_counts([line + "\n" for line in (HEADER, *lines)]))


def test_line_is_read_with_any_offset_and_to_the_minute() -> None:
    lines = _read("2026-03-02T09:30:59.5Z,a,1", "2026-03-02T11:31:00+02:00,a,2", "2026-03-02t09:32:00z,a,0")
    assert [instant_text(line.minute) for line in lines] == [
        "2026-03-02T09:30:00Z",
        "2026-03-02T09:31:00Z",
        "2026-03-02T09:32:00Z",
    ]
    assert [line.count for line in lines] == [1, 2, 0]


def test_columns_may_stand_in_any_order_after_a_byte_order_mark() -> None:
    (line,) = read_counts(["\ufeffCount,extra,Series,minute\r\n", "\r\n", "7,x,a,2026-03-02T09:30:00Z\r\n"])
    assert (line.count, line.series.text) == (7, "a")


@pytest.mark.parametrize(
    ("text", "kind", "attributes"),
    [
        ("checkout", "error", {"error_code": "checkout"}),
        ("eu-signups", "signup", {"environment": "eu-signups"}),
        ("signup-errors", "error", {"error_code": "signup-errors"}),
        ("TIMEOUT|/pay|prod", "error", {"error_code": "TIMEOUT", "route": "/pay", "environment": "prod"}),
        ('"{""event_type"":""signup"",""environment"":""prod""}"', "signup", {"environment": "prod"}),
        ('"{""event_type"":""error"",""route"":null}"', "error", {}),
        (
            '"{""event_type"":""ERROR"",""route"":""/orders/48213?page=2"",""environment"":""Production""}"',
            "error",
            {"route": "/orders/{id}", "environment": "prod"},
        ),
        (
            "E 0190163d-8694-739b-aea5-966c26f8ad91|/a/7|production",
            "error",
            {"error_code": "E {id}", "route": "/a/{id}", "environment": "prod"},
        ),
    ],
)
def test_series_is_a_name_or_json(text: str, kind: str, attributes: dict[str, str]) -> None:
    (line,) = _read(f"2026-03-02T09:30:00Z,{text},1")
    assert dict(line.series.attributes) == {"event_type": kind} | attributes


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2026-03-02T09:30:00,a,1", "has no offset; add Z"),
        ("yesterday,a,1", "minute 'yesterday' is no RFC 3339 time"),
        ("2026-03-02T09:30:00Z,a,-1", "count '-1' is no whole number"),
        ("2026-03-02T09:30:00Z,a,1.5", "count '1.5' is no whole number"),
        ("2026-03-02T09:30:00Z,a,", "count '' is no whole number"),
        ("2026-03-02T09:30:00Z,,1", "series is empty"),
        ("2026-03-02T09:30:00Z,a", "has 2 columns"),
        ("2026-03-02T09:28:00Z,a,1", "minute is before the line above"),
        ('2026-03-02T09:30:00Z,"{""event_type"":""error"",""host"":""h""}",1', "unknown key 'host'"),
        ('2026-03-02T09:30:00Z,"{""event_type"":""oops""}",1', "event_type that is one of error,"),
        (
            '2026-03-02T09:30:00Z,"{""event_type"":""error"",""environment"":""moon""}",1',
            "environment that is none of prod, staging, dev",
        ),
        ('2026-03-02T09:30:00Z,"{broken",1', "series is no JSON object"),
        ('2026-03-02T09:30:00Z,"a"b,1', "is not CSV"),
    ],
)
def test_bad_line_is_named(line: str, says: str) -> None:
    with pytest.raises(BadLine) as raised:
        _read("2026-03-02T09:29:00Z,a,1", line)
    assert str(raised.value).startswith("line 3: ")
    assert says in str(raised.value)


def test_file_without_a_header_is_read() -> None:
    (line,) = read_counts(["\ufeff2026-03-02T09:30:00Z,a,7\n"])
    assert (instant_text(line.minute), line.series.text, line.count) == ("2026-03-02T09:30:00Z", "a", 7)


@pytest.mark.parametrize(("lines", "says"), [([], "is missing"), (["time,series,count"], "header lacks")])
def test_missing_header_is_named(lines: list[str], says: str) -> None:
    with pytest.raises(BadLine, match=says):
        list(read_counts(lines))
