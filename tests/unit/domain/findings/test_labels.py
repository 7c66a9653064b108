"""Labels: bounded, countable, and free of secrets."""

import pytest

from signals.domain.findings.labels import MAX_LABELS, LabelNames, LabelPolicy, labels_of


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"region": "eu 1"}, ("region=eu 1",)),
        ({"beta": True, "shard": 7}, ("beta=true", "shard=7")),
        ({"amount": 4821}, ("amount=2000..4999",)),
        ({"amount": 100}, ("amount=100..199",)),
        ({"customer_id": 4821, "user_id": 12345678901}, ("customer_id=4821",)),
        ({"ratio": 0.37, "none": None, "empty": " "}, ()),
        ({"flags": ["a", "b"]}, ("flags=a", "flags=b")),
        ({"cart": {"size": 3, "deep": {"er": 1}}}, ("cart.size=3",)),
        ({"duration_ms": 12, "request_id": "abc", "took": 3}, ()),
        ({"order": "0b9cba1e-5a54-4a3f-9a52-1f5a3e9f1f11", "n": "12345678901"}, ()),
        ({"password": "hunter2", "session_id": "abc", "api_key": "x"}, ()),
        ({"user": "ann@example.com"}, ()),
        ({"note": "sk_live_abcdefghijklmnop"}, ()),
        ({"text": "x" * 200}, ()),
    ],
)
def test_attributes_become_labels(attributes: dict[str, object], expected: tuple[str, ...]) -> None:
    assert labels_of(attributes) == expected


def test_labels_are_bounded_and_keep_the_best_known_names() -> None:
    labels = labels_of({**{f"a{n}": "x" for n in range(40)}, "release": "r1"})
    assert len(labels) == MAX_LABELS
    assert labels[0] == "release=r1"


def test_project_allows_and_denies_names() -> None:
    attributes = {"region": "a", "plan": "b"}
    assert labels_of(attributes, LabelNames(allowed=frozenset({"plan"}))) == ("plan=b",)
    assert labels_of(attributes, LabelNames(denied=frozenset({"plan"}))) == ("region=a",)


def test_policy_keeps_a_projects_own_names_apart() -> None:
    policy = LabelPolicy.read("region, acme:tier", "other:region")
    assert [policy.of("acme").admit(name) for name in ("region", "tier", "host")] == [True, True, False]
    assert [policy.of("third").admit(name) for name in ("region", "tier")] == [True, False]
    assert not policy.of("other").admit("region")
    assert LabelPolicy.read("", "").of("acme").admit("anything")


@pytest.mark.parametrize("text", ["acme:", "a=b", "x" * 49])
def test_policy_refuses_what_cannot_be_a_name(text: str) -> None:
    with pytest.raises(ValueError, match="no name of a label"):
        LabelPolicy.read(text, "")
