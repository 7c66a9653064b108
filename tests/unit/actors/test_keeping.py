"""Whom the supervisor replaces, and whom it ends."""

from actors.consumers import Health
from actors.keeping import MAX_IDLE_S, MAX_SILENT_ROUNDS, Answer, Keeping


def _keeping(*names: str) -> Keeping:
    return Keeping(expected=frozenset(names))


def _rounds(keeping: Keeping, *answers: Answer) -> list[list[str]]:
    return [keeping.stuck({"a": answer}) for answer in answers]


def _health(idle_s: float | None) -> Health:
    return Health(state="running", detail="", idle_s=idle_s)


def test_an_actor_that_goes_round_is_kept() -> None:
    assert _rounds(_keeping("a"), _health(None), _health(0.0), _health(MAX_IDLE_S)) == [[], [], []]


def test_an_actor_whose_loop_stands_still_is_replaced_at_once() -> None:
    assert _rounds(_keeping("a"), _health(MAX_IDLE_S + 1)) == [["a"]]


def test_a_silent_actor_is_replaced_after_some_rounds_and_its_successor_gets_as_many() -> None:
    one: list[list[str]] = [[]] * (MAX_SILENT_ROUNDS - 1) + [["a"]]
    silence: list[Answer] = ["silent" for _ in range(2 * MAX_SILENT_ROUNDS)]
    assert _rounds(_keeping("a"), *silence) == one * 2


def test_an_answer_between_silences_starts_the_count_again() -> None:
    almost: list[Answer] = ["silent" for _ in range(MAX_SILENT_ROUNDS - 1)]
    assert not any(_rounds(_keeping("a"), *almost, _health(1.0), *almost))


def test_an_actor_that_ray_restarts_is_left_to_ray() -> None:
    restarts: list[Answer] = ["restarting"] * 100
    assert not any(_rounds(_keeping("a"), *restarts))


def test_one_silent_actor_says_nothing_about_another() -> None:
    keeping = _keeping("a", "b")
    for _ in range(MAX_SILENT_ROUNDS - 1):
        assert keeping.stuck({"a": "silent", "b": _health(1.0)}) == []
    assert keeping.stuck({"a": "silent", "b": "silent"}) == ["a"]


def test_only_actors_that_are_not_expected_are_surplus() -> None:
    assert _keeping("a", "b").surplus(["c", "b", "a-1"]) == ["a-1", "c"]
    assert _keeping("a").surplus([]) == []
