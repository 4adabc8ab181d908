"""What a memo keeps: whatever was used last, up to its size, and never more than twice as much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.memo import Memo

SIZE = 5


def ask(memo: Memo[int, str], key: int) -> str | None:
    return memo.young.get(key) or memo.recall(key)


def use(memo: Memo[int, str], key: int) -> None:
    """Ask, and compute what is not known, as everybody does."""
    if ask(memo, key) is None:
        memo.put(key, str(key))


def held(memo: Memo[int, str], keys: range) -> list[int]:
    return [key for key in keys if key in memo.young or memo.recall(key) is not None]


@given(st.lists(st.integers(0, 12), max_size=60))
def test_what_was_used_last_is_known_and_nothing_is_made_up(keys: list[int]) -> None:
    memo = Memo[int, str](SIZE)
    for at, key in enumerate(keys):
        use(memo, key)
        latest = list(dict.fromkeys(reversed(keys[: at + 1])))[:SIZE]
        assert [ask(memo, recent) for recent in reversed(latest)] == [str(recent) for recent in reversed(latest)]
        assert len(memo.young) <= SIZE
    assert len(held(memo, range(13))) <= 2 * SIZE


def test_what_is_asked_for_all_the_time_outlives_a_flood() -> None:
    memo = Memo[int, str](SIZE)
    use(memo, -1)
    for key in range(100):
        assert ask(memo, -1) == "-1"
        use(memo, key)


def test_a_value_that_is_renewed_takes_no_more_room() -> None:
    memo = Memo[int, str](SIZE)
    for key in range(SIZE):
        use(memo, key)
    for number in range(100):
        memo.put(0, f"renewed {number}")
    assert [key in memo.young for key in range(SIZE)] == [True] * SIZE
    assert ask(memo, 0) == "renewed 99"


def test_room_is_taken_by_weight() -> None:
    memo = Memo[int, str](100, weigh=lambda key, value: len(value))
    for key in range(10):
        memo.put(key, "x" * 40)
    assert sum(len(memo.young.get(key) or memo.recall(key) or "") for key in range(10)) <= 200
    assert memo.young[9] == "x" * 40
