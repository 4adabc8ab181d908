from __future__ import annotations

import asyncio
import json

import pytest

from gateway.sso.oidc.fetching import Fetched
from gateway.sso.oidc.keys import KEPT_SECONDS, MAX_KEYS, REREAD_SECONDS, RETRY_SECONDS, Key, KeyRing, read_keys
from gateway.sso.oidc.record import Refusal, Refused
from tests.sso.tokens import Json, number, signer

NAMES = ("RS256", "ES256", "EdDSA")
DOWN = Refused(Refusal.UNREACHABLE, "id.example.com")


def document(*names: str) -> Fetched:
    content: Json = {"keys": [signer(name).jwk for name in names]}
    return Fetched(200, json.dumps(content).encode(), content)


def read(*keys: object) -> tuple[Key, ...] | Refused:
    return read_keys({"keys": list(keys)})


def jwk(name: str, **changes: object) -> Json:
    return {name: value for name, value in (signer(name).jwk | changes).items() if value is not ...}


def test_keys_are_read_with_what_they_are_for() -> None:
    found = read_keys(document(*NAMES).content)
    assert isinstance(found, tuple)
    assert [(key.id, set(key.algorithms)) for key in found] == [
        ("key of RS256", {"RS256", "PS256"}),
        ("key of ES256", {"ES256"}),
        ("key of EdDSA", {"EdDSA"}),
    ]


def test_a_key_is_only_for_the_algorithm_and_the_issuer_that_it_names() -> None:
    found = read(jwk("RS256", alg="RS256", issuer="https://id.example.com", use=..., kid=..., x5c=["x"], unknown=1))
    assert isinstance(found, tuple)
    (key,) = found
    assert (key.id, key.algorithms, key.issuer) == ("", {"RS256"}, "https://id.example.com")


@pytest.mark.parametrize(
    "unfit",
    [
        None, "x", 5, [], {}, {"kty": "RSA"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256"},
        {"kty": "XYZ", "x": "y"}, jwk("RS256", kid=5), jwk("RS256", kid="x" * 257), jwk("RS256", use="enc"),
        jwk("RS256", use=None), jwk("RS256", key_ops=["sign"]), jwk("RS256", key_ops="verify"), jwk("RS256", alg="HS256"),
        jwk("RS256", alg="RS512"), jwk("RS256", alg="ES256"), jwk("RS256", alg=None), jwk("RS256", issuer=5),
        jwk("RS256", n=...), jwk("RS256", n=5), jwk("RS256", n=""), jwk("RS256", n="="), jwk("RS256", e="AQAC"),
        jwk("RS256", e="AQ"), jwk("RS256", e=number(2**40 + 1)), jwk("RS256", n=number(2**2048 + 2)),
        jwk("RS256", n=number(2**8192 + 1)), jwk("RS256", n=number(2**60_000 + 1)), jwk("RSA-1024"),
        jwk("RS256", d="AQAB"), jwk("RS256", p="AQAB"), jwk("EdDSA", d="AQAB"), jwk("RS256", k="c2VjcmV0"),
        jwk("ES256", x="AQAB"), jwk("ES256", y=...), jwk("ES256", y=signer("ES256").jwk["x"]), jwk("ES256", crv="P-384"),
        jwk("ES256", crv="secp256k1"), jwk("P-384"), jwk("EdDSA", x="AQAB"), jwk("EdDSA", crv="X25519"), jwk("Ed448"),
    ],
)  # fmt: skip
def test_a_key_that_is_not_for_signatures_or_weak_is_left_out(unfit: object) -> None:
    assert read(unfit) == Refused(Refusal.NO_KEYS)
    found = read(unfit, jwk("RS256"))
    assert isinstance(found, tuple)
    assert len(found) == 1


@pytest.mark.parametrize("content", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": []}])
def test_a_document_without_keys_is_refused(content: Json) -> None:
    assert read_keys(content) == Refused(Refusal.NO_KEYS)


def test_more_than_twenty_keys_are_refused() -> None:
    keys = [jwk("ES256", kid=str(each)) for each in range(MAX_KEYS + 1)]
    assert read(*keys) == Refused(Refusal.TOO_MANY_KEYS, "21")
    assert len(read(*keys[1:], *({"kty": "oct"} for _ in range(50)))) == MAX_KEYS  # type: ignore[arg-type]


class Provider:
    """Its keys, a clock, and a ring that reads them."""

    def __init__(self, *names: str) -> None:
        self.answer: Fetched | Refused = document(*names)
        self.now = 1_800_000_000
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.ring = KeyRing(self.fetch, lambda: self.now)

    async def fetch(self) -> Fetched | Refused:
        self.reads += 1
        await self.gate.wait()
        return self.answer

    async def find(self, identity: str) -> list[str] | Refused:
        found = await self.ring.find(identity)
        return found if isinstance(found, Refused) else [key.id for key in found]


async def test_keys_are_read_once_an_hour() -> None:
    provider = Provider(*NAMES)
    assert await provider.find("key of RS256") == ["key of RS256"]
    provider.now += KEPT_SECONDS - 1
    assert await provider.find("key of ES256") == ["key of ES256"]
    assert provider.reads == 1
    provider.now += 1
    assert await provider.find("key of RS256") == ["key of RS256"]
    assert provider.reads == 2


async def test_a_token_without_a_key_id_may_be_of_any_key() -> None:
    provider = Provider(*NAMES)
    assert await provider.find("") == [f"key of {name}" for name in NAMES]
    assert await provider.find("") == [f"key of {name}" for name in NAMES]
    assert provider.reads == 1


async def test_a_key_that_the_provider_rotated_in_is_found_at_once() -> None:
    provider = Provider("RS256")
    await provider.find("key of RS256")
    provider.answer = document("ES256")
    provider.now += REREAD_SECONDS
    assert await provider.find("key of ES256") == ["key of ES256"]
    assert await provider.find("key of RS256") == Refused(Refusal.KEY_UNKNOWN, "key of RS256")
    assert provider.reads == 2


async def test_unknown_keys_make_the_gateway_ask_once_a_minute() -> None:
    provider = Provider("RS256")
    for second in range(3 * REREAD_SECONDS):
        assert await provider.find(f"forged {second}\n") == Refused(Refusal.KEY_UNKNOWN, f"forged {second}")
        provider.now += 1
    assert provider.reads == 4  # the first one, the next at once, then one a minute
    assert await provider.find("key of RS256") == ["key of RS256"]


async def test_callers_at_the_same_time_share_one_reading() -> None:
    provider = Provider(*NAMES)
    provider.gate.clear()
    tasks = [asyncio.create_task(provider.find(f"key of {name}")) for name in NAMES * 20]
    while provider.reads == 0:
        await asyncio.sleep(0)
    provider.gate.set()
    assert await asyncio.gather(*tasks) == [[f"key of {name}"] for name in NAMES * 20]
    assert provider.reads == 1


async def test_a_caller_who_gives_up_takes_the_reading_from_nobody() -> None:
    provider = Provider(*NAMES)
    provider.gate.clear()
    first, second = (asyncio.create_task(provider.find("key of RS256")) for _ in range(2))
    while provider.reads == 0:
        await asyncio.sleep(0)
    first.cancel()
    provider.gate.set()
    assert await second == ["key of RS256"]
    assert first.cancelled()
    assert provider.reads == 1


async def test_a_provider_that_is_down_is_asked_every_five_seconds_and_its_reason_is_told() -> None:
    provider = Provider()
    provider.answer = DOWN
    for _ in range(3 * RETRY_SECONDS):
        assert await provider.find("key of RS256") == DOWN
        provider.now += 1
    assert provider.reads == 3
    provider.answer = document("RS256")
    assert await provider.find("key of RS256") == ["key of RS256"]


async def test_known_keys_stay_for_their_hour_while_the_provider_is_down() -> None:
    provider = Provider("RS256")
    await provider.find("key of RS256")
    provider.answer = DOWN
    provider.now += KEPT_SECONDS - 1
    assert await provider.find("key of ES256") == DOWN
    assert await provider.find("key of RS256") == ["key of RS256"]
    provider.now += 1
    assert await provider.find("key of RS256") == DOWN


async def test_a_document_that_is_no_longer_one_is_a_failure_too() -> None:
    provider = Provider("RS256")
    await provider.find("key of RS256")
    provider.answer = Fetched(200, b"{}", {})
    provider.now += KEPT_SECONDS
    assert await provider.find("key of RS256") == Refused(Refusal.NO_KEYS)
