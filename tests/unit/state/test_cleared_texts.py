"""Texts that need no second look: bounded, apart by how they are read, safe from two threads."""

from __future__ import annotations

from threading import Thread

from sallygate.state.cleared_texts import CHARS_MAX, NEW_MAX, ClearedTexts
from sallygate.state.state import State


def test_a_text_is_cleared_only_for_the_reading_it_had() -> None:
    cleared = ClearedTexts()
    cleared.add({"plain": ["a=1"], "cookie": ["b=2"]})
    assert (cleared["plain"], cleared["cookie"], cleared["credential"]) == ({"a=1"}, {"b=2"}, set())


def test_long_texts_and_those_of_requests_with_very_many_are_not_remembered() -> None:
    cleared = ClearedTexts()
    cleared.add({"plain": ["a" * (CHARS_MAX + 1), "b" * CHARS_MAX]})
    cleared.add({"plain": [str(n) for n in range(NEW_MAX)], "cookie": ["one more"]})
    assert cleared["plain"] == {"b" * CHARS_MAX} and cleared["cookie"] == set()


def test_what_is_full_is_forgotten_and_nothing_is_remembered_where_none_may_be() -> None:
    small, none = ClearedTexts(2), ClearedTexts(0)
    for text in "abc":
        small.add({"plain": [text]})
        none.add({"plain": [text]})
    assert small["plain"] == {"c"} and none["plain"] == set()


def test_gates_share_them_unless_other_credentials_are_checked() -> None:
    state, credentials = State(), frozenset({"header:x-api-key"})
    first = state.cleared_texts(credentials)
    assert state.cleared_texts(credentials) is first
    assert state.cleared_texts(frozenset()) is not first
    assert state.cleared_texts(credentials) is not first, "those of an earlier policy are gone"


def test_threads_that_add_at_once_stay_within_the_bound() -> None:
    cleared = ClearedTexts(100)

    def add(name: str) -> None:
        for number in range(2_000):
            cleared.add({"plain": [f"{name}{number}"], "cookie": [f"{name}{number}"]})
            assert "attack" not in cleared["plain"]

    threads = [Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < len(cleared["plain"]) <= 100 and 0 < len(cleared["cookie"]) <= 100
