"""The exchange with a real provider: metadata, question, answer, tokens, keys, checks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret
from gateway.model.token import new_token
from gateway.sso.oidc.assertion import NewKey, make_key
from gateway.sso.oidc.exchange import Exchange
from gateway.sso.oidc.fetching import Fetcher
from gateway.sso.oidc.gate import MOST_AT_ONCE
from gateway.sso.oidc.id_token import FRESH_LEEWAY_SECONDS
from gateway.sso.oidc.record import Claims, Kind, Metadata, Provider, Refusal, Refused
from gateway.sso.oidc.request import Answer, Question, check_answer, read_answer
from tests.support.identity_provider import Client, IdentityProvider, Json, PlainBrowser, Realm, User, forgery

CALLBACK = "http://localhost:1/login/sso/callback"
ERIN = User("erin", "erin@acme.example", "Erin Zoë", groups=("staff", "hr"), roles=("manager",))
CLIENT = Client("gateway", (CALLBACK,), secret="a secret & more")
PATIENCE = 3.0  # seconds, for what is never answered; what is answered before or after has to come in them as well
OBJECT = "21ec2020-3aea-4069-a2dd-08002b30309d"
LENA = User(OBJECT, "lena@acme.example", "Lena", claims={"xms_edov": True})


class Gateway:
    """The gateway's part of a sign-in, for one provider, and somebody's browser."""

    def __init__(self, realm: Realm, kind: Kind = Kind.GENERIC, seconds: float = 120) -> None:
        scopes = ("openid", "profile", "email", *(("groups",) if kind is Kind.GENERIC else ()))
        secret = Secret(CLIENT.secret)
        self.realm = realm
        self.provider = Provider("idp_1", "acme", realm.issuer, CLIENT.client_id, secret, kind, scopes, is_enabled=True)
        self.fetcher = Fetcher(allows_private=True, seconds=seconds)
        self.exchange = Exchange(self.fetcher, self.clock, allows_private=True)
        self.browser = PlainBrowser(realm.provider)
        self.ahead = 0  # seconds

    def clock(self) -> int:
        return int(time.time()) + self.ahead

    async def metadata(self) -> Metadata:
        metadata = await self.exchange.metadata(self.provider)
        assert isinstance(metadata, Metadata)
        return metadata

    async def sign_in(self, user: User = ERIN, *, is_fresh: bool = False) -> Claims | Refused:
        metadata = await self.metadata()
        question = Question(CALLBACK, new_token(), new_token(), new_token())
        if is_fresh:
            question = replace(question, prompt="login", max_age=0)
        asked_at = self.clock() if is_fresh else None
        url = await self.exchange.ask(self.provider, question)
        if isinstance(url, Refused):
            return url
        landed = await asyncio.to_thread(self.browser.sign_in, url, user.id)
        assert landed.url.startswith(CALLBACK), landed
        answer = read_answer(urlsplit(landed.url).query)
        assert isinstance(answer, Answer)
        assert answer.state == question.state
        if (refused := check_answer(answer, metadata)) is not None:
            return refused
        return await self.exchange.redeem(
            self.provider, answer.code,
            callback=CALLBACK, verifier=question.verifier, nonce=question.nonce, asked_at=asked_at,
        )  # fmt: skip


@pytest.fixture
def gateway(identity_provider: IdentityProvider) -> Iterator[Gateway]:
    gateway = Gateway(identity_provider.realm(users=[ERIN], clients=[CLIENT]))
    yield gateway
    gateway.fetcher.close()


@pytest.fixture
def entra(identity_provider: IdentityProvider) -> Iterator[Gateway]:
    gateway = Gateway(identity_provider.entra(users=[LENA], clients=[CLIENT]), Kind.ENTRA)
    yield gateway
    gateway.fetcher.close()


async def test_somebody_signs_in(gateway: Gateway) -> None:
    found = await gateway.sign_in()
    assert isinstance(found, Claims)
    assert (found.issuer, found.key, found.email, found.is_email_verified) == (
        gateway.realm.issuer, "erin", "erin@acme.example", True,
    )  # fmt: skip
    assert (found.name, found.groups) == ("Erin Zoë", ("staff", "hr"))


@pytest.mark.parametrize(("par", "pushed"), [("offered", 1), ("required", 1), ("off", 0)])
async def test_the_question_is_pushed_where_that_is_offered(gateway: Gateway, par: str, pushed: int) -> None:
    gateway.realm.set(par=par)
    assert isinstance(await gateway.sign_in(), Claims)
    assert len(gateway.realm.requests("pushed_authorization_request")) == pushed
    asked = gateway.realm.requests("authorization")[0]["query"]
    assert (set(asked) == {"client_id", "request_uri"}) is bool(pushed)


async def test_a_client_that_may_only_push_signs_in(gateway: Gateway) -> None:
    gateway.realm.set(clients=[replace(CLIENT, requires_par=True)])
    assert isinstance(await gateway.sign_in(), Claims)


async def test_an_endpoint_that_is_not_for_us_is_done_without_unless_it_is_required(gateway: Gateway) -> None:
    gateway.realm.fail("pushed_authorization_request", status=404, headers={"content-type": "text/html"})
    assert isinstance(await gateway.sign_in(), Claims)
    required = Gateway(gateway.realm)
    gateway.realm.set(par="required")
    assert await required.sign_in() == Refused(Refusal.STATUS, "404")
    required.fetcher.close()


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (replace(CLIENT, secret="another"), Refusal.CLIENT),
        (replace(CLIENT, redirect_uris=("http://localhost:1/elsewhere",)), Refusal.REDIRECT_URI),
    ],
)
async def test_what_the_provider_would_refuse_is_known_before_anybody_leaves(
    gateway: Gateway, client: Client, reason: Refusal
) -> None:
    gateway.realm.set(clients=[client])
    refused = await gateway.sign_in()
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert gateway.realm.requests("authorization") == []


@pytest.mark.parametrize("body", ["{}", '{"request_uri": 1}', '{"request_uri": "a\\u0000"}', '{"request_uri": ""}'])
async def test_an_answer_without_a_name_for_the_question_is_refused(gateway: Gateway, body: str) -> None:
    head = {"Content-Type": "application/json"}
    gateway.realm.fail("pushed_authorization_request", status=201, body=body, headers=head)
    assert await gateway.sign_in() == Refused(Refusal.PUSHED)


async def test_a_token_with_es256_is_accepted(gateway: Gateway) -> None:
    gateway.realm.set(clients=[replace(CLIENT, algorithm="ES256")])
    assert isinstance(await gateway.sign_in(), Claims)


async def test_a_fresh_sign_in_is_shown_by_its_time(gateway: Gateway) -> None:
    await gateway.sign_in()
    found = await gateway.sign_in(is_fresh=True)
    assert isinstance(found, Claims)
    assert found.auth_time is not None
    gateway.realm.set(id_token=forgery({"auth_time": gateway.clock() - FRESH_LEEWAY_SECONDS - 1}))
    assert await gateway.sign_in(is_fresh=True) == Refused(Refusal.AUTHENTICATED_LONG_AGO)
    gateway.realm.set(id_token=forgery({"auth_time": None}))
    assert await gateway.sign_in(is_fresh=True) == Refused(Refusal.NO_AUTH_TIME)


async def test_somebody_of_entra_id_signs_in(entra: Gateway) -> None:
    found = await entra.sign_in(LENA)
    assert isinstance(found, Claims)
    assert (found.tenant_id, found.object_id, found.is_email_verified) == (entra.realm.tenant, OBJECT, True)


async def test_a_token_of_another_tenant_of_entra_id_is_refused(
    entra: Gateway, identity_provider: IdentityProvider
) -> None:
    other = identity_provider.entra(users=[LENA], clients=[CLIENT])
    assert isinstance(await Gateway(other, Kind.ENTRA).sign_in(LENA), Claims)
    entra.realm.set(id_token=forgery({"tid": other.tenant}))
    assert await entra.sign_in(LENA) == Refused(Refusal.TENANT)
    entra.realm.set(id_token=forgery({"tid": other.tenant, "iss": other.issuer}))  # as that tenant would sign it
    assert await entra.sign_in(LENA) == Refused(Refusal.ISSUER)


async def test_the_endpoints_for_all_companies_are_no_tenants_own(identity_provider: IdentityProvider) -> None:
    shared = identity_provider.entra(tenant="common")
    gateway = Gateway(shared, Kind.ENTRA)
    pattern = f"{identity_provider.origin}/{{tenantid}}/v2.0"
    assert await gateway.exchange.metadata(gateway.provider) == Refused(Refusal.ISSUER_PATTERN, pattern)
    shared.remove()


async def test_metadata_and_keys_are_read_once_an_hour(gateway: Gateway) -> None:
    for _ in range(3):
        assert isinstance(await gateway.sign_in(), Claims)
    assert [len(gateway.realm.requests(endpoint)) for endpoint in ("discovery", "jwks", "token")] == [1, 1, 3]
    gateway.ahead = 3_600
    await gateway.metadata()
    assert len(gateway.realm.requests("discovery")) == 2


async def test_keys_rotate_between_two_sign_ins(gateway: Gateway) -> None:
    assert isinstance(await gateway.sign_in(), Claims)
    gateway.realm.rotate_keys(keep=False)
    assert isinstance(await gateway.sign_in(), Claims)
    assert len(gateway.realm.requests("jwks")) == 2


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (forgery(alg="none"), Refusal.ALGORITHM),
        (forgery(alg="HS256", secret=CLIENT.secret), Refusal.ALGORITHM),
        (forgery(key="unknown"), Refusal.SIGNATURE),
        (forgery(header={"typ": "at+jwt"}), Refusal.TYPE),
        (forgery(header={"jku": "https://evil.example/jwks"}), Refusal.HEADER),
        (forgery({"iss": ["https://evil.example"]}), Refusal.ISSUER),
        (forgery({"aud": [CLIENT.client_id]}), Refusal.AUTHORISED_PARTY),
        (forgery({"sub": None}), Refusal.SUBJECT),
        (forgery({"nonce": "other"}), Refusal.NONCE),
        (forgery({"at_hash": "x"}), Refusal.ACCESS_TOKEN_HASH),
        (forgery(raw="x.y"), Refusal.MALFORMED),
    ],
)
async def test_a_forged_token_is_refused(gateway: Gateway, forged: Json, reason: Refusal) -> None:
    gateway.realm.set(id_token=forged)
    refused = await gateway.sign_in()
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.parametrize(("seconds", "reason"), [(3_700, Refusal.ISSUED_IN_FUTURE), (-700, Refusal.ISSUED_LONG_AGO)])
async def test_a_clock_that_is_wrong_is_told(gateway: Gateway, seconds: int, reason: Refusal) -> None:
    gateway.realm.set(clock=seconds)
    assert await gateway.sign_in() == Refused(reason)


async def test_an_answer_in_the_name_of_another_provider_is_refused(gateway: Gateway) -> None:
    gateway.realm.set(callback={"iss": "https://evil.example"})
    assert await gateway.sign_in() == Refused(Refusal.ANSWER_ISSUER, "https://evil.example")
    gateway.realm.set(callback={"iss": None})
    assert await gateway.sign_in() == Refused(Refusal.ANSWER_ISSUER)


async def test_a_code_that_is_no_longer_good_is_told_apart_from_a_wrong_secret(gateway: Gateway) -> None:
    async def redeem(provider: Provider) -> Claims | Refused:
        return await gateway.exchange.redeem(
            provider, Secret("x"), callback=CALLBACK, verifier=new_token(), nonce=new_token()
        )

    assert await redeem(gateway.provider) == Refused(Refusal.CODE, "invalid_grant: grant request is invalid")
    wrong = await redeem(replace(gateway.provider, client_secret=Secret("wrong")))
    assert wrong == Refused(Refusal.CLIENT, "invalid_client: client authentication failed")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"close": True}, Refusal.NOT_HTTP),
        ({"status": 500}, Refusal.STATUS),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, Refusal.REDIRECT),
        ({"size": 1_000_000, "body": "{}", "headers": {"Content-Type": "application/json"}}, Refusal.TOO_LARGE),
        ({"held": True}, Refusal.TIMED_OUT),
    ],
)
async def test_a_provider_in_trouble_is_told_apart(gateway: Gateway, fault: Json, reason: Refusal) -> None:
    troubled = Gateway(gateway.realm, seconds=PATIENCE if reason is Refusal.TIMED_OUT else 120)
    troubled.realm.fail("jwks", **fault)
    refused = await troubled.sign_in()
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    troubled.realm.heal()
    troubled.ahead = 10
    assert isinstance(await troubled.sign_in(), Claims)
    troubled.fetcher.close()


async def test_people_at_the_same_time_share_one_reading(gateway: Gateway) -> None:
    found = await asyncio.gather(*(gateway.exchange.metadata(gateway.provider) for _ in range(50)))
    assert len({id(each) for each in found}) == 1
    assert len(gateway.realm.requests("discovery")) == 1


async def test_a_provider_that_is_down_costs_one_time_out(gateway: Gateway) -> None:
    troubled = Gateway(gateway.realm, seconds=PATIENCE)
    troubled.realm.fail("discovery", held=True)
    down = Refused(Refusal.TIMED_OUT, "127.0.0.1")
    ask = troubled.exchange.metadata
    assert await asyncio.gather(*(ask(troubled.provider) for _ in range(50))) == [down] * 50
    assert await ask(troubled.provider) == down
    assert len(troubled.realm.requests("discovery")) == 1
    troubled.realm.heal()
    assert await ask(troubled.provider) == down
    troubled.ahead = 10
    assert isinstance(await ask(troubled.provider), Metadata)
    troubled.fetcher.close()


async def test_what_is_wrong_with_the_metadata_is_remembered_for_as_long(gateway: Gateway) -> None:
    gateway.realm.fail("discovery", status=200, body="{}", headers={"Content-Type": "application/json"})
    for _ in range(3):
        assert await gateway.exchange.metadata(gateway.provider) == Refused(Refusal.ISSUER_DIFFERS)
    assert len(gateway.realm.requests("discovery")) == 1
    gateway.realm.heal()
    gateway.ahead = 10
    assert isinstance(await gateway.exchange.metadata(gateway.provider), Metadata)


async def test_one_provider_does_not_wait_for_another(gateway: Gateway, identity_provider: IdentityProvider) -> None:
    slow = identity_provider.realm(clients=[CLIENT])
    slow.fail("discovery", held=True)
    stuck = replace(gateway.provider, issuer=slow.issuer)
    waiting = [asyncio.create_task(gateway.exchange.metadata(stuck)) for _ in range(50)]
    assert isinstance(await gateway.sign_in(), Claims)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    slow.heal()


async def test_a_token_endpoint_that_never_answers_uses_few_connections(gateway: Gateway) -> None:
    troubled = Gateway(gateway.realm, seconds=PATIENCE)
    await troubled.metadata()
    troubled.realm.fail("token", held=True)

    async def redeem() -> Claims | Refused:
        return await troubled.exchange.redeem(
            troubled.provider, Secret("x"), callback=CALLBACK, verifier=new_token(), nonce=new_token()
        )

    found = await asyncio.gather(*(redeem() for _ in range(100)))
    assert set(found) == {Refused(Refusal.TIMED_OUT, "127.0.0.1")}
    assert len(troubled.realm.requests("token")) <= MOST_AT_ONCE
    troubled.realm.heal()
    troubled.fetcher.close()


def keyed(gateway: Gateway, kind: Kind = Kind.GENERIC) -> NewKey:
    """Have the gateway sign with a new key, of which the provider does not know yet."""
    made = make_key("key_1", kind, "Acme", gateway.clock())
    gateway.provider = replace(gateway.provider, client_secret=Secret(""), client_key=made.key)
    return made


def knowing(made: NewKey, **more: str) -> Client:
    """Return the client as the provider has it, with the public part of the key."""
    return replace(CLIENT, method="private_key_jwt", jwks={"keys": [json.loads(made.public)]}, **more)


async def test_a_signature_takes_the_secrets_place_at_every_endpoint(gateway: Gateway) -> None:
    gateway.realm.set(clients=[knowing(keyed(gateway))])
    assert isinstance(await gateway.sign_in(), Claims)
    (pushed,) = gateway.realm.requests("pushed_authorization_request")
    (redeemed,) = gateway.realm.requests("token")
    for request in (pushed, redeemed):
        assert "client_secret" not in request["form"]
        assert request["authorization"] == ""
    assert pushed["form"]["client_assertion"] != redeemed["form"]["client_assertion"]


@pytest.mark.parametrize("is_pushed", [True, False])
async def test_a_key_that_the_provider_does_not_know_is_told_apart(gateway: Gateway, is_pushed: bool) -> None:
    gateway.realm.set(par="offered" if is_pushed else "off")
    keyed(gateway)
    gateway.realm.set(clients=[knowing(make_key("key_1", Kind.GENERIC, "Acme", gateway.clock()))])
    refused = await gateway.sign_in()
    assert isinstance(refused, Refused)
    assert refused.reason == Refusal.CLIENT_KEY
    assert bool(gateway.realm.requests("authorization")) is not is_pushed


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, "client_secret_basic"),
        ({"token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256"]}, "PS256 RS256"),
    ],
)
async def test_a_provider_that_takes_no_such_signature_is_told_apart(
    gateway: Gateway, changes: Json, detail: str
) -> None:
    document = json.dumps({**gateway.realm.metadata(), **changes})
    gateway.realm.fail("discovery", status=200, body=document, headers={"content-type": "application/json"})
    keyed(gateway)
    assert await gateway.sign_in() == Refused(Refusal.CLIENT_METHODS, detail)


async def test_a_provider_that_wants_a_signature_gets_no_secret(gateway: Gateway) -> None:
    document = json.dumps({**gateway.realm.metadata(), "token_endpoint_auth_methods_supported": ["private_key_jwt"]})
    gateway.realm.fail("discovery", status=200, body=document, headers={"content-type": "application/json"})
    assert await gateway.sign_in() == Refused(Refusal.CLIENT_METHODS, "private_key_jwt")
    assert gateway.realm.requests("pushed_authorization_request") == []


async def test_entra_id_knows_the_key_by_its_certificate(entra: Gateway) -> None:
    made = keyed(entra, Kind.ENTRA)
    thumbprint = encode_base64url(sha256(made.key.certificate).digest())
    entra.realm.set(clients=[knowing(made, certificate_thumbprint=thumbprint)])
    assert isinstance(await entra.sign_in(LENA), Claims)
    entra.realm.set(clients=[knowing(made, certificate_thumbprint="another")])
    refused = await entra.sign_in(LENA)
    assert isinstance(refused, Refused)
    assert refused.reason == Refusal.CLIENT_KEY
