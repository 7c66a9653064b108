"""Consumers that the supervisor replaces, and those that it ends."""

from actors.consumers import STOPPED, Health
from actors.keeping import (
    MAX_IDLE_S,
    MAX_LEAVING_ROUNDS,
    MAX_SILENT_ROUNDS,
    MAX_STARTING_ROUNDS,
    HealthAnswer,
    HealthTracker,
    evicted,
    outdated,
    surplus,
)


def _rounds(tracker: HealthTracker, *answers: HealthAnswer) -> list[list[str]]:
    return [tracker.stuck({"a": answer}) for answer in answers]


def _health(idle_s: float | None) -> Health:
    return Health(state="running", detail="", idle_s=idle_s)


def test_looping_actor_is_kept() -> None:
    assert _rounds(HealthTracker(), _health(None), _health(0.0), _health(MAX_IDLE_S)) == [[], [], []]


def test_actor_with_a_stuck_loop_is_replaced_at_once() -> None:
    assert _rounds(HealthTracker(), _health(MAX_IDLE_S + 1)) == [["a"]]


def test_silent_actor_is_replaced_after_some_rounds() -> None:
    silence: list[HealthAnswer] = ["silent"] * MAX_SILENT_ROUNDS
    assert _rounds(HealthTracker(), _health(1.0), *silence) == [[]] * MAX_SILENT_ROUNDS + [["a"]]


def test_starting_actor_gets_longer_and_so_does_its_successor() -> None:
    one: list[list[str]] = [[]] * (MAX_STARTING_ROUNDS - 1) + [["a"]]
    silence: list[HealthAnswer] = ["silent"] * (2 * MAX_STARTING_ROUNDS)
    assert _rounds(HealthTracker(), *silence) == one * 2
    assert _rounds(HealthTracker(), _health(1.0), "restarting", *silence) == [[], [], *one, *one]


def test_an_answer_between_silences_starts_the_count_again() -> None:
    almost: list[HealthAnswer] = ["silent" for _ in range(MAX_SILENT_ROUNDS - 1)]
    assert not any(_rounds(HealthTracker(), _health(1.0), *almost, _health(1.0), *almost))


def test_an_actor_that_ray_restarts_is_left_to_ray() -> None:
    restarts: list[HealthAnswer] = ["restarting"] * 100
    assert not any(_rounds(HealthTracker(), *restarts))


def test_silent_actor_does_not_affect_another() -> None:
    tracker = HealthTracker()
    tracker.stuck({"a": _health(1.0), "b": _health(1.0)})
    for _ in range(MAX_SILENT_ROUNDS - 1):
        assert tracker.stuck({"a": "silent", "b": _health(1.0)}) == []
    assert tracker.stuck({"a": "silent", "b": "silent"}) == ["a"]


def test_only_actors_that_are_not_expected_are_surplus() -> None:
    assert surplus(["c", "b", "a-1"], {"a", "b"}) == ["a-1", "c"]
    assert surplus([], {"a"}) == []


def test_a_stopped_actor_that_is_expected_again_is_replaced() -> None:
    stopped = Health(state=STOPPED, detail="", idle_s=1.0)
    assert _rounds(HealthTracker(), stopped) == [["a"]]


def test_successor_of_a_stopped_actor_gets_the_time_of_a_start() -> None:
    tracker, stopped = HealthTracker(), Health(state=STOPPED, detail="", idle_s=1.0)
    silence: list[HealthAnswer] = ["silent"] * (MAX_STARTING_ROUNDS - 1)
    assert _rounds(tracker, _health(1.0), stopped) == [[], ["a"]]
    assert not any(_rounds(tracker, *silence))


def test_leaving_consumer_may_finish_its_work() -> None:
    tracker, working = HealthTracker(), _health(1.0)
    assert tracker.ended({"a": working, "b": working}) == []
    assert tracker.ended({"a": Health(state=STOPPED, detail="", idle_s=1.0), "b": working}) == ["a"]
    assert tracker.ended({"b": "restarting"}) == ["b"]


def test_consumer_that_does_not_stop_is_ended_and_its_successor_gets_full_time() -> None:
    tracker = HealthTracker()
    rounds = [tracker.ended({"a": "silent"}) for _ in range(MAX_LEAVING_ROUNDS + 1)]
    assert rounds == [[]] * MAX_LEAVING_ROUNDS + [["a"]]
    assert tracker.ended({}) == []
    assert tracker.ended({"a": "silent"}) == []


def test_consumer_on_a_draining_node_is_asked_to_stop_until_it_has() -> None:
    def on(node: str, state: str = "running") -> Health:
        return Health(state=state, detail="", idle_s=1.0, node_id=node)

    answers: dict[str, HealthAnswer] = {"a": on("n1"), "b": on("n2"), "c": on("n1", STOPPED), "d": "silent"}
    assert evicted(answers, {"n1": 0}) == ["a"]
    assert evicted(answers, {}) == []


def test_consumers_of_other_code_leave_one_after_the_other() -> None:
    def of(code: str, state: str = "running") -> Health:
        return Health(state=state, detail="", idle_s=1.0, code=code)

    old, new = of("old"), of("new")
    assert outdated({"a": new, "b": old, "c": old}, "new") == ["b"]
    assert outdated({"a": new, "b": new}, "new") == []
    under_way: tuple[HealthAnswer, ...] = ("silent", "restarting", of("new", STOPPED), of("old", STOPPED))
    for answer in under_way:
        assert outdated({"a": answer, "b": old}, "new") == []


def test_answer_of_a_release_without_the_field_is_completed() -> None:
    early = Health(state="running", detail="", idle_s=1.0, node_id="n1")
    object.__delattr__(early, "code")
    answer = early.completed()
    assert repr(answer)  # it is logged
    assert (answer.idle_s, answer.node_id) == (1.0, "n1")
    assert outdated({"a": answer}, "new") == outdated({"a": answer}, "") == ["a"]
    assert answer.completed() is answer
