"""An account may have set up a factor that only a newer version knows, on another machine during an upgrade."""

from __future__ import annotations

import asyncio
import contextlib

from sqlalchemy import update

from gateway.store import Store
from gateway.store.schema import accounts
from tests.proxy.test_tunnel import accept, open_socket
from tests.support.gateway import Gateway
from tests.support.person import Person
from tests.support.upstream import RecordingUpstream


def give_factor(own: Gateway, email: str, enrolled: str) -> None:
    async def write() -> None:
        store = Store.open(own.store_url)
        async with store.transaction() as tx:
            await tx.execute(update(accounts).where(accounts.c.identifier == email).values(enrolled=enrolled))
        await store.close()

    asyncio.run(write())


def test_who_has_a_factor_of_a_newer_version_gets_past_neither_gate_nor_sign_in(own: Gateway) -> None:
    person, other = Person(own), Person(own, "manager", source="127.0.0.4")
    person.sign_in()
    other.sign_in()
    give_factor(own, person.email, "hologram")
    assert person.open("/probe", follow=False).status == 503
    new = Person(own, source="127.0.0.3")
    assert new.give_password().status == 503
    assert not new.is_signed_in
    assert other.is_signed_in  # nobody else notices
    give_factor(own, person.email, "")
    assert person.is_signed_in


def test_open_sockets_of_others_end_with_their_session_all_the_same(own: Gateway, upstream: RecordingUpstream) -> None:
    upstream.scripts["/ws"] = accept
    stuck, other = Person(own), Person(own, "manager", source="127.0.0.4")
    stuck.sign_in()
    other.sign_in()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(own, person.cookie_line)) for person in (stuck, other) * 4]
        for socket in sockets:
            assert socket.response() is not None
            assert socket.read_exactly(5) == b"hello"
        give_factor(own, stuck.email, "hologram")
        assert own.cli("session", "revoke", "--email", other.email).returncode == 0
        for socket in sockets[1::2]:
            assert socket.read_to_end() == b"\x88\x02\x03\xf0"
