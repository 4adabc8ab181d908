"""The sessions in memory: what a change is about is forgotten wherever it is, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.account import Role
from gateway.model.session import Session
from gateway.sessions.memory import Memory
from gateway.store.revision import Change

SIZE = 4
ACCOUNTS = ("ann", "bob", "eve")
TENANT_OF = {"ann": "acme", "bob": "acme", "eve": "beta"}
KEYS = {bytes([number]): ACCOUNTS[number % 3] for number in range(12)}


def a_session(key: bytes) -> Session:
    account = KEYS[key]
    return Session(
        id=f"ses_{key.hex()}", account=account, identifier=f"{account}@x.example", name=account, tenant=TENANT_OF[account],
        role=Role.EMPLOYEE, modules=frozenset(), is_owner=False, proofs=(), started_at=0, seen_at=0,
    )  # fmt: skip


def about(account: str = "", tenant: str = "") -> Change:
    return Change(1, "", account, tenant)


def find(memory: Memory, key: bytes) -> Session | None:
    return memory.young.get(key) or memory.recall(key)


def is_meant(change: Change, key: bytes) -> bool:
    account = KEYS[key]
    return (
        (not change.account and not change.tenant) or account == change.account or TENANT_OF[account] == change.tenant
    )


CHANGE = st.sampled_from(
    [*(about(account) for account in ACCOUNTS), about(tenant="acme"), about(tenant="none"), about()]
)


@given(st.lists(st.sampled_from(sorted(KEYS)) | CHANGE, max_size=60))
def test_after_a_change_exactly_what_it_is_about_is_unknown(steps: list[bytes | Change]) -> None:
    """Sessions are found and remembered as requests do it, in any order with changes between them."""
    memory, latest = Memory(SIZE), list[bytes]()
    for step in steps:
        if isinstance(step, Change):
            memory.forget(step)
            latest = [key for key in latest if not is_meant(step, key)]
            assert not [key for key in KEYS if is_meant(step, key) and (key in memory or find(memory, key))]
        else:
            if find(memory, step) is None:
                memory.put(step, a_session(step))
            latest = [step, *(key for key in latest if key != step)][:SIZE]
        assert [key in memory for key in latest] == [True] * len(latest)
        assert sum(key in memory for key in KEYS) <= 2 * SIZE


@pytest.mark.parametrize("change", [about("ann"), about(tenant="acme"), about()], ids=["account", "tenant", "all"])
def test_a_session_of_the_old_generation_is_forgotten_like_one_of_the_young(change: Change) -> None:
    memory = Memory(SIZE)
    old, promoted, young = (key for key in KEYS if KEYS[key] == "ann" and key[0] < 9)
    others = [key for key in KEYS if KEYS[key] == "eve"][: SIZE - 2]
    for key in (old, promoted, *others):
        memory.put(key, a_session(key))
    memory.put(young, a_session(young))  # the others are old now
    assert find(memory, promoted) is not None
    assert [key in memory for key in (old, promoted, young)] == [True] * 3
    memory.forget(change)
    assert [find(memory, key) for key in (old, promoted, young)] == [None] * 3
    assert [key in memory for key in others] == [bool(change.account or change.tenant)] * len(others)


def test_a_session_that_was_read_anew_leaves_no_former_state_behind() -> None:
    memory, key = Memory(SIZE), bytes([0])
    memory.put(key, a_session(key))
    for number in range(1, SIZE + 1):
        memory.put(bytes([number]), a_session(bytes([number])))
    memory.put(key, replace(a_session(key), role=Role.ADMIN))  # while the former one is in the old generation
    assert memory.recall(key) is None  # it is there no longer
    for number in range(1, SIZE):
        memory.put(bytes([number + SIZE]), a_session(bytes([number + SIZE])))
    found = find(memory, key)
    assert found is not None
    assert found.role is Role.ADMIN
    memory.forget(about("ann"))
    assert find(memory, key) is None
