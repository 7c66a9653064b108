"""Event search over HTTP on a real OpenSearch."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.domain.queries import cursors
from signals.domain.queries.search import event_query
from tests.integration.core.conftest import OTHER, Keys, index
from tests.support.events import NOON, TENANCY, errors, event, signups

MINUTE = timedelta(minutes=1)


@pytest.fixture
def events(opensearch: Client) -> None:
    """Eight errors and two signups of the reader's, one error of another tenant's."""
    index(opensearch, errors(5, NOON, every_s=60))
    index(opensearch, errors(3, NOON + 10 * MINUTE, code='ODD "CODE"'))
    index(opensearch, signups(2, NOON, every_s=1))
    index(opensearch, [event("error", NOON, tenancy=OTHER, error_code="TIMEOUT", route="/theirs")])


def found(client: TestClient, **parameters: object) -> Any:
    """The body of a search that must succeed."""
    answer = client.get("/v1/search/events", params=parameters)  # type: ignore[arg-type]  # values of any kind
    assert answer.status_code == 200, answer.text
    return answer.json()


PARTS = ["facets", "histogram", "comparison"]


@pytest.mark.usefixtures("events")
def test_facets_and_histogram_come_when_they_are_asked_for(reader: TestClient) -> None:
    page = found(reader, include=["facets", "histogram"])
    assert page["total"] == {"value": 10, "exact": True}
    assert page["complete"] is True
    assert page["facets"]["event_type"] == [{"value": "error", "count": 8}, {"value": "signup", "count": 2}]
    assert page["facets"]["status_code"] == [{"value": 503, "count": 8}]
    assert sum(bucket["count"] for bucket in page["histogram"]["buckets"]) == 10
    assert page["histogram"]["interval"] == "1m"
    assert page["comparison"] is None
    instants = [found_event["occurred_at"] for found_event in page["events"]]
    assert instants == sorted(instants, reverse=True)


@pytest.mark.usefixtures("events")
def test_search_counts_nothing_that_is_not_asked_for(reader: TestClient) -> None:
    page = found(reader)
    assert len(page["events"]) == 10
    assert [page[part] for part in PARTS] == [None, None, None]
    wrong = reader.get("/v1/search/events", params={"include": "labels"})
    assert wrong.status_code == 400
    assert "include" in wrong.text


def test_comparison_names_the_values_that_set_found_events_apart(
    reader: TestClient, opensearch: Client
) -> None:
    usual = [
        event("error", NOON, error_code="TIMEOUT", route="/cart", release="1.0", region=region)
        for region in ("fra1", "nyc1")
        for _ in range(20)
    ]
    failing = [
        event("error", NOON, error_code="OUT", route="/pay", release="1.1", region=("fra1", "nyc1")[at % 2])
        for at in range(10)
    ]
    theirs = [event("error", NOON, tenancy=OTHER, error_code="OUT", release="1.0") for _ in range(50)]
    index(opensearch, [*usual, *failing, *theirs])
    compared = found(reader, filters="error_code:OUT", include=PARTS)["comparison"]
    assert (compared["found"], compared["rest"]) == (10, 40)
    assert [(one["filter"], one["value"]) for one in compared["values"]] == [
        ("label", "release=1.1"),
        ("label", "route=/pay"),
    ]  # the regions are alike, and the error code is what was asked for
    assert compared["values"][0] == {
        "filter": "label",
        "value": "release=1.1",
        "found": 10,
        "share": 1.0,
        "rest": 0,
        "rest_share": 0.0,
    }
    everything = found(reader, include="comparison")["comparison"]
    assert everything == {"found": 50, "rest": 0, "values": []}
    nothing = found(reader, q="nothing-like-this", include="comparison")["comparison"]
    assert nothing == {"found": 0, "rest": 50, "values": []}


QUERIES: list[tuple[dict[str, object], int]] = [
    ({"q": "happened"}, 10),
    ({"q": "error happened"}, 8),
    ({"q": "TIMEOUT happened"}, 5),
    ({"q": "/checkout"}, 8),
    ({"q": '"happened error"'}, 0),
    ({"q": "happened -signup"}, 8),
    ({"q": "signup | TIMEOUT"}, 7),
    ({"q": "happ*"}, 10),
    ({"q": "hapened~2"}, 0),  # fuzziness is off: its cost is out of proportion
    ({"filters": "severity:ERROR"}, 8),
    ({"filters": "event_type:error,event_type:signup"}, 10),
    ({"filters": 'error_code:"ODD \\"CODE\\""'}, 3),
    ({"filters": "attributes.route:/checkout env:prod"}, 8),
    ({"filters": "status_code:>=500"}, 8),
    ({"filters": "status_code:[500 TO 503}"}, 0),
    ({"filters": ["status_code:503", "error_code:TIMEOUT"]}, 5),
    ({"filters": "occurred_at:[2026-03-01T12:02:00Z TO *]"}, 6),
    ({"filters": "occurred_at:<2026-03-01T12:00:01Z"}, 2),
    ({"since": "2026-03-01T12:10:00Z"}, 3),
    ({"since": "2026-03-01T13:00:00+01:00", "until": "2026-03-01T12:01:00Z"}, 3),
    ({"q": "", "filters": "", "since": "", "cursor": ""}, 10),
]


@pytest.mark.usefixtures("events")
def test_queries_find_the_matching_events(reader: TestClient) -> None:
    for parameters, count in QUERIES:
        assert found(reader, **parameters)["total"]["value"] == count, parameters


ESCAPES: list[dict[str, object]] = [
    {"q": "proj_2"},
    {"q": "project_id:proj_2"},
    {"q": "* | project_id:proj_2"},
    {"q": '") OR project_id:proj_2 OR ("'},
    {"q": "/theirs"},
    {"filters": "route:/theirs"},
    {"filters": 'route:"/theirs" | route:x'},
    {"filters": "org_id:org_2"},
    {"filters": "project_id:proj_2"},
    {"filters": 'event_id:"x" _id:y'},
    {"project_id": "proj_2"},
]


@pytest.mark.usefixtures("events")
def test_no_query_reaches_another_tenants_events(reader: TestClient) -> None:
    for parameters in ESCAPES:
        answer = reader.get("/v1/search/events", params=parameters)  # type: ignore[arg-type]  # as above
        if answer.status_code == 200:
            assert all(e["project_id"] == "proj_1" for e in answer.json()["events"]), parameters
            assert "/theirs" not in answer.text
        else:
            assert answer.status_code in (400, 403), parameters


@pytest.mark.usefixtures("events")
def test_pages_share_one_point_in_time(reader: TestClient, opensearch: Client) -> None:
    page = found(reader, limit=4, include="facets")
    assert page["facets"] is not None
    ids = [found_event["event_id"] for found_event in page["events"]]
    index(opensearch, errors(20, NOON + MINUTE))  # into the middle of what is being read
    while page["next_cursor"]:
        page = found(reader, limit=4, include="facets", cursor=page["next_cursor"])
        assert page["facets"] is None  # they come with the first page
        ids += [found_event["event_id"] for found_event in page["events"]]
    assert len(ids) == len(set(ids)) == 10
    contexts = opensearch.indices.stats(index=EVENTS_INDEX)["_all"]["total"]["search"]
    assert contexts["point_in_time_current"] == 0  # the last page has let go of it


@pytest.mark.usefixtures("events")
def test_a_point_in_time_is_opened_for_a_next_page_only(
    reader: TestClient, opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, create = list[str](), opensearch.create_pit

    def counted(*index: Any, **options: Any) -> Any:
        opened.append(options["index"])
        return create(*index, **options)

    monkeypatch.setattr(opensearch, "create_pit", counted)
    assert found(reader, limit=10)["next_cursor"] is None
    assert opened == []
    second = found(reader, limit=4, cursor=found(reader, limit=4)["next_cursor"])
    assert second["next_cursor"] is not None
    assert opened == [EVENTS_INDEX]


@pytest.mark.usefixtures("events")
def test_a_cursor_outlives_its_point_in_time(reader: TestClient, opensearch: Client) -> None:
    page = found(reader, limit=6)
    opensearch.delete_all_pits()
    rest = found(reader, limit=6, cursor=page["next_cursor"])
    assert len(rest["events"]) == 4
    assert not {e["event_id"] for e in page["events"]} & {e["event_id"] for e in rest["events"]}


@pytest.mark.usefixtures("events")
def test_cursor_serves_only_its_own_query_and_tenant(anonymous: TestClient, keys: Keys) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    cursor = found(anonymous, limit=1)["next_cursor"]
    assert anonymous.get("/v1/search/events", params={"cursor": cursor, "q": "x"}).status_code == 400
    anonymous.headers["Authorization"] = f"Bearer {keys.other_read}"
    answer = anonymous.get("/v1/search/events", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")


BAD: list[tuple[dict[str, object], str]] = [
    ({"filters": "colour:red"}, "colour"),
    ({"filters": "severity:loud"}, "severity"),
    ({"filters": "status_code:many"}, "status_code"),
    ({"filters": "status_code:[500 TO"}, "key:value"),
    ({"filters": "status_code:>=99999999999"}, "status_code"),
    ({"filters": "occurred_at:>yesterday"}, "occurred_at"),
    ({"filters": 'route:"open'}, "key:value"),
    ({"filters": "severity"}, "severity"),
    ({"filters": "a\x00:b"}, "NUL"),
    ({"filters": ["severity:info " * 40]}, "pairs"),
    ({"filters": ["severity:info"] * 40}, "filters"),
    ({"filters": "x" * 5000}, "filters"),
    ({"q": "x" * 513}, "q"),
    ({"q": "a " * 40}, "words"),
    ({"q": "a\x00b"}, "NUL"),
    ({"limit": 1000}, "limit"),
    ({"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"}, "until"),
]


def test_bad_search_names_its_fault(reader: TestClient) -> None:
    for parameters, named in BAD:
        answer = reader.get("/v1/search/events", params=parameters)  # type: ignore[arg-type]  # as above
        assert answer.status_code == 400, (parameters, answer.text)
        assert named in answer.json()["detail"], answer.text


def test_odd_texts_never_crash_the_search(reader: TestClient) -> None:
    odd = [
        "(" * 512,
        "\\" * 511,
        '"',
        "*",
        "-",
        "+|-*()",
        "a*" * 200,
        "\ufffd",
        "~" * 100,
        "{!x}",
        "AND",
        "a" * 512,
    ]
    for text in odd:
        assert reader.get("/v1/search/events", params={"q": text}).status_code in (200, 400), text
    assert reader.get("/v1/search/events?q=%ED%A0%80&filters=route:%ED%A0%80").status_code == 200


def test_a_forged_cursor_never_reaches_the_point_in_time(reader: TestClient, opensearch: Client) -> None:
    index(opensearch, errors(3, NOON))
    query = event_query(text=None, filters=[], since=None, until=None)
    tied_to = cursors.tie("events", TENANCY, query)
    opened = opensearch.create_pit(index=EVENTS_INDEX, params={"keep_alive": "1m"})["pit_id"]
    for snapshot in ("forged", "o463QQEPbXktaW5kZXgtMDAwMDAx", "x" * 2000, "\ud800", opened):
        cursor = cursors.encode((2**42, "zz", snapshot, "0" * 64), tied_to=tied_to)
        assert len(found(reader, cursor=cursor)["events"]) == 3, snapshot
    for occurred_ms, event_id in ((-(2**70), ""), (2**63, ""), (0, "\ud800"), (0, "x" * 2000)):
        cursor = cursors.encode((occurred_ms, event_id, "", ""), tied_to=tied_to)
        answer = reader.get("/v1/search/events", params={"cursor": cursor})
        assert answer.status_code in (200, 400), (occurred_ms, answer.text)


def test_missing_index_makes_search_answer_retry_later(reader: TestClient, opensearch: Client) -> None:
    opensearch.indices.delete(index=EVENTS_INDEX)
    answer = reader.get("/v1/search/events")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
