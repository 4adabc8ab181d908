"""A secret is replaced by another, and nobody notices: keys overlap in every step of it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.devices.revoke_link import RevokeLinks
from gateway.factors.contract import Asked
from gateway.factors.magic_link.factor import MagicLinkFactor
from gateway.factors.magic_link.rows import find, issue
from gateway.model.secret import Secret
from gateway.store import Store
from tests.factors.conftest import no_mail
from tests.store.people import NOW, add_person
from tests.support.gateway import Gateway
from tests.support.person import Person
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

OLD, NEW = (base64.b64encode(os.urandom(48)).decode() for _ in range(2))
STEPS = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]  # as docs/operations.md says


def key_set(gateway: Gateway) -> dict[str, Any]:
    answer = gateway.exchange(get("/.well-known/otium-gateway/jwks.json"))
    assert answer.status == 200
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def test_an_application_that_read_the_keys_a_step_ago_understands_every_assertion(
    upstream: RecordingUpstream, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    secret = tmp_path / "gateway-secret"
    del gateway.environ["GATEWAY_SECRET"]
    gateway.environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    secret.write_text("\n".join(STEPS[0]))
    gateway.start()
    try:
        person = Person(gateway)
        person.sign_in()
        known = key_set(gateway)
        signers = []
        for lines in STEPS:
            secret.write_text("\n".join(lines))
            gateway.reload_files()
            upstream.requests.clear()
            assert gateway.exchange(get("/x", person.cookie_line)).status == 200
            (assertion,) = upstream.requests[0].all("x-otium-assertion")
            token = jwt.decode(assertion, KeySet.import_key_set(known), algorithms=["ES256"])
            assert token.claims["email"] == person.email
            signers.append(token.header["kid"])
            known = key_set(gateway)
            assert len(known["keys"]) == len(lines)
            if lines == [NEW, OLD]:
                assert gateway.cli("keys", "rotate", "--confirm").returncode == 0
        assert signers[0] == signers[1] != signers[2] == signers[3]
    finally:
        gateway.stop()


def test_a_link_that_ends_a_device_is_read_for_as_long_as_its_secret_is_there() -> None:
    old, new = Secret(OLD.encode()), Secret(NEW.encode())
    address = RevokeLinks([old], "").address_for("ses_1")
    assert RevokeLinks([new, old], "").read(address) == "ses_1"
    assert RevokeLinks([old, new], "").read(RevokeLinks([new, old], "").address_for("ses_1")) == "ses_1"
    assert RevokeLinks([new], "").read(address) is None


async def test_a_code_that_is_on_somebodys_screen_is_taken_after_the_change(store: Store) -> None:
    account = await add_person(store)
    asked = Asked(account.id, "att_1")
    old, new = Secret(b"o" * 32), Secret(b"n" * 32)
    before, after = MagicLinkFactor(old, (), no_mail), MagicLinkFactor(new, [old], no_mail)
    async with store.transaction() as tx:
        link = await find(tx, (await issue(tx, asked, "/", NOW)).reveal())
        assert link is not None
        assert before.code_of(link) != after.code_of(link)
        only_new = MagicLinkFactor(new, (), no_mail)
        assert type(await only_new.verify(tx, asked, Secret(before.code_of(link)), NOW)).__name__ == "Wrong"
        assert type(await after.verify(tx, asked, Secret(before.code_of(link)), NOW)).__name__ == "Right"
