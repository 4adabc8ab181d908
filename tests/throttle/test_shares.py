"""Fair shares: what one client takes is never all, and who waits does not wait behind another's queue."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.throttle.shares import GRANTED, Queued, Refused, Shares

GREEDY, OTHER = "203.0.113.7", "198.51.100.9"


def taken_by(shares: Shares[int], client: str) -> int:
    count = 0
    while shares.take(client):
        count += 1
    return count


@pytest.mark.parametrize(("capacity", "half"), [(1, 1), (2, 1), (3, 2), (512, 256)])
def test_one_client_takes_half_and_leaves_the_rest(capacity: int, half: int) -> None:
    assert taken_by(Shares(capacity), GREEDY) == half


@given(capacity=st.integers(1, 600), clients=st.integers(0, 9))
def test_each_further_greedy_client_takes_half_of_what_is_left_and_no_more(capacity: int, clients: int) -> None:
    shares = Shares[int](capacity)
    for n in range(clients):
        taken_by(shares, f"greedy {n}")
    assert capacity - shares.in_use >= capacity >> clients
    assert shares.take(OTHER) or capacity < 2**clients


def test_as_shares_are_given_back_greedy_clients_come_to_hold_the_same() -> None:
    shares = Shares[str](512)
    names = ["first", "second", "third"]
    held = Counter({name: taken_by(shares, name) for name in names})
    assert held == {"first": 256, "second": 128, "third": 64}
    for _ in range(512):
        for name in names:
            shares.release(name)
        for name in reversed(names):  # each takes whatever it can have
            held[name] += taken_by(shares, name) - 1
    assert all(abs(held[name] - 128) <= 2 for name in names), held


def test_without_a_reserve_one_client_has_everything_while_nobody_else_asks() -> None:
    assert taken_by(Shares(4, reserve=0), GREEDY) == 4


def test_clients_take_turns_however_many_one_has_waiting() -> None:
    shares = Shares[str](1, 10, reserve=0)
    assert shares.ask(GREEDY, "g0") is GRANTED
    for n in range(1, 9):
        assert shares.ask(GREEDY, f"g{n}") == Queued(None)
    assert shares.ask(OTHER, "o1") == Queued(None)
    assert shares.release(GREEDY) == ["g1"]
    assert shares.release(GREEDY) == ["o1"]
    assert shares.release(OTHER) == ["g2"]


def test_when_nobody_more_may_wait_the_client_with_the_most_waiting_loses_its_newest() -> None:
    shares = Shares[str](1, 3, reserve=0)
    for n in range(4):
        shares.ask(GREEDY, f"g{n}")
    assert shares.would_refuse(GREEDY)
    assert shares.ask(GREEDY, "g4") == Refused(is_own=True)
    assert not shares.would_refuse(OTHER)
    assert shares.ask(OTHER, "o1") == Queued((GREEDY, "g3"))
    assert shares.ask("third", "t1") == Queued((GREEDY, "g2"))
    assert shares.would_refuse("fourth")
    assert shares.ask("fourth", "f1") == Refused(is_own=False)
    assert shares.waiting == 3


def test_who_waits_no_longer_is_not_served() -> None:
    shares = Shares[str](1, 3, reserve=0)
    shares.ask(GREEDY, "g0")
    shares.ask(GREEDY, "g1")
    shares.ask(OTHER, "o1")
    assert shares.withdraw(GREEDY, "g1")
    assert not shares.withdraw(GREEDY, "g1")
    assert not shares.withdraw("nobody", "x")
    assert shares.release(GREEDY) == ["o1"]


CLIENTS = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.lists(st.tuples(st.sampled_from(["ask", "take", "release", "withdraw"]), CLIENTS), max_size=120)


@given(capacity=st.integers(1, 6), room=st.integers(0, 6), reserve=st.integers(0, 1), steps=STEPS)
def test_whatever_happens_the_books_are_right(
    capacity: int, room: int, reserve: int, steps: list[tuple[str, str]]
) -> None:
    shares = Shares[int](capacity, room, reserve=reserve)
    held, waiting = Counter[str](), dict[int, str]()

    def may_take(client: str) -> bool:
        return held[client] * reserve < capacity - held.total()

    for number, (step, client) in enumerate(steps):
        may = may_take(client)
        if step == "take":
            assert shares.take(client) == may
            held[client] += may
        elif step == "ask":
            would_refuse = shares.would_refuse(client)
            outcome = shares.ask(client, number)
            assert isinstance(outcome, Refused) == would_refuse
            assert (outcome is GRANTED) == may
            held[client] += may
            if isinstance(outcome, Queued):
                if outcome.dislodged is not None:
                    loser, item = outcome.dislodged
                    assert waiting.pop(item) == loser != client
                waiting[number] = client
        elif step == "release" and held[client]:
            held[client] -= 1
            for item in shares.release(client):
                held[waiting.pop(item)] += 1
        elif step == "withdraw" and client in waiting.values():
            item = next(item for item, whose in waiting.items() if whose == client)
            assert shares.withdraw(client, item)
            del waiting[item]
        assert shares.in_use == held.total() <= capacity
        assert shares.waiting == len(waiting) <= room
        assert not any(may_take(whose) for whose in waiting.values())  # nobody waits for what could be had
