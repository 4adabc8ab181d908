"""The tests' own identity provider says what it should, and misbehaves as it is told: other tests rely on that."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import ECKey, KeySet, RSAKey

from tests.support.browser import SHELL, chromium
from tests.support.certificates import make_authority
from tests.support.identity_provider import (
    TRUTHFUL,
    Answer,
    Client,
    IdentityProvider,
    Json,
    PlainBrowser,
    Realm,
    User,
    forgery,
    pkce,
)
from tests.support.speed import slowness

CALLBACK = "http://localhost:1/login/sso/callback"
ERIN = User("erin", "erin@acme.example", "Erin Zoë", groups=("staff", "hr"), roles=("manager",))
MARA = User("mara", "mara@acme.example", "Mara", email_verified=False)
GATEWAY = Client("gateway", (CALLBACK,))
TENANT = str(uuid.UUID(int=7))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that the client began: where it sends the browser, and what it keeps."""

    url: str
    state: str
    nonce: str
    verifier: str


def question(client: Client = GATEWAY, **more: str) -> tuple[dict[str, str], str]:
    """Return the parameters of a new sign-in, and its verifier."""
    verifier, challenge = pkce()
    parameters = {
        "client_id": client.client_id, "response_type": "code", "redirect_uri": client.redirect_uris[0],
        "scope": "openid profile email groups", "state": uuid.uuid4().hex, "nonce": uuid.uuid4().hex,
        "code_challenge": challenge, "code_challenge_method": "S256", **more,
    }  # fmt: skip
    return parameters, verifier


def begin(realm: Realm, client: Client = GATEWAY, **more: str) -> Attempt:
    parameters, verifier = question(client, **more)
    url = f"{realm.metadata()['authorization_endpoint']}?{urlencode(parameters)}"
    return Attempt(url, parameters["state"], parameters["nonce"], verifier)


def post(realm: Realm, url: str, fields: dict[str, str], client: Client, assertion: str = "") -> tuple[int, Json]:
    """Send a form as an authenticated client; return status and content."""
    request = urllib.request.Request(url, data=urlencode(fields | proof(assertion)).encode())
    if not assertion:
        basic = base64.b64encode(f"{client.client_id}:{client.secret.replace(' ', '+')}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
    try:
        with urllib.request.urlopen(request, timeout=120, context=realm.provider.context()) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())


def proof(assertion: str) -> dict[str, str]:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_assertion_type": kind, "client_assertion": assertion} if assertion else {}


def redeem(
    realm: Realm, attempt: Attempt, answer: Answer, client: Client = GATEWAY, assertion: str = ""
) -> tuple[int, Json]:
    fields = {
        "grant_type": "authorization_code", "code": answer.query["code"], "redirect_uri": client.redirect_uris[0],
        "code_verifier": attempt.verifier,
    }  # fmt: skip
    return post(realm, realm.metadata()["token_endpoint"], fields, client, assertion)


def claims_of(realm: Realm, token: str) -> Json:
    """Return the claims of a token that one of the realm's published keys signed."""
    return dict(jwt.decode(token, KeySet.import_key_set(realm.jwks()), algorithms=["RS256", "ES256"]).claims)


def sign_in(
    realm: Realm, user: User = ERIN, client: Client = GATEWAY, browser: PlainBrowser | None = None, **more: str
) -> Json:
    """Sign in; return the claims of the ID token."""
    attempt = begin(realm, client, **more)
    answer = (browser or PlainBrowser(realm.provider)).sign_in(attempt.url, user.id)
    status, tokens = redeem(realm, attempt, answer, client)
    assert status == 200, tokens
    claims = claims_of(realm, tokens["id_token"])
    assert claims["nonce"] == attempt.nonce
    return claims


def kids(realm: Realm) -> set[str]:
    """Return the ids of the keys that a realm publishes."""
    return {key["kid"] for key in realm.jwks()["keys"]}


def header_of(token: str) -> Json:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")))


def payload_of(token: str) -> Json:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))


@pytest.fixture
def realm(identity_provider: IdentityProvider) -> Realm:
    return identity_provider.realm(users=[ERIN, MARA], clients=[GATEWAY])


@pytest.fixture
def browser(identity_provider: IdentityProvider) -> PlainBrowser:
    return PlainBrowser(identity_provider)


# The flow.


def test_it_starts_with_two_seconds_of_work_and_ends_with_whoever_started_it(tmp_path: Path) -> None:
    provider = IdentityProvider(tmp_path).start()
    user, system = Path(f"/proc/{provider.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")  # of the processor: a clock tells who else works
    assert seconds < 2 * slowness()
    assert provider.process.stdin is not None
    provider.process.stdin.close()
    assert provider.process.wait(120) == 0
    provider.stop()


def test_its_discovery_document_is_of_its_issuer_and_offers_what_it_can(realm: Realm) -> None:
    metadata = realm.metadata()
    assert metadata["issuer"] == realm.issuer
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["grant_types_supported"] == ["authorization_code"]
    assert metadata["response_types_supported"] == ["code"]
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    assert metadata["backchannel_logout_supported"] is True
    assert {key["alg"] for key in realm.jwks()["keys"]} == {"RS256", "ES256"}
    assert not [name for key in realm.jwks()["keys"] for name in key if name in ("d", "p", "q")]
    endpoints = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(endpoints) == 6
    assert all(value.startswith(realm.issuer + "/") for value in endpoints)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_code_flow_ends_with_a_signed_token_about_whom_was_chosen(
    identity_provider: IdentityProvider, browser: PlainBrowser, algorithm: str
) -> None:
    client = replace(GATEWAY, algorithm=algorithm)
    realm = identity_provider.realm(users=[ERIN, MARA], clients=[client])
    attempt = begin(realm)
    page = browser.open(attempt.url)
    assert (page.status, "Erin Zoë" in page.body, "mara@acme.example" in page.body) == (200, True, True)
    answer = browser.submit(page, user="erin")
    assert answer.url.startswith(CALLBACK + "?")
    assert answer.query == {"code": answer.query["code"], "state": attempt.state, "iss": realm.issuer}
    status, tokens = redeem(realm, attempt, answer)
    assert (status, tokens.get("refresh_token"), header_of(tokens["id_token"])["alg"]) == (200, None, algorithm)
    claims = claims_of(realm, tokens["id_token"])
    assert {name: claims[name] for name in ("iss", "aud", "sub", "nonce")} == {
        "iss": realm.issuer, "aud": "gateway", "sub": "erin", "nonce": attempt.nonce,
    }  # fmt: skip
    assert (claims["email"], claims["email_verified"], claims["name"]) == ("erin@acme.example", True, "Erin Zoë")
    assert (claims["groups"], claims["roles"], claims["amr"]) == (["staff", "hr"], ["manager"], ["pwd"])
    assert abs(claims["iat"] - time.time()) < 60
    assert [request["endpoint"] for request in realm.requests() if request["endpoint"] == "token"] == ["token"]
    assert realm.requests("authorization")[0]["query"]["code_challenge_method"] == "S256"
    assert realm.requests("token")[0]["form"]["code_verifier"] == attempt.verifier


def test_a_code_is_good_once_and_only_with_its_verifier_and_secret(realm: Realm, browser: PlainBrowser) -> None:
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, "erin")
    other = replace(attempt, verifier=pkce()[0])
    assert redeem(realm, other, answer)[1]["error"] == "invalid_grant"
    assert redeem(realm, attempt, answer, replace(GATEWAY, secret="another"))[1]["error"] == "invalid_client"
    assert redeem(realm, attempt, answer)[0] == 200
    assert redeem(realm, attempt, answer)[1]["error"] == "invalid_grant"


def test_a_client_proves_itself_with_its_key(identity_provider: IdentityProvider, browser: PlainBrowser) -> None:
    key = ECKey.generate_key("P-256")
    public = {**key.as_dict(private=False), "kid": "1"}
    client = replace(GATEWAY, method="private_key_jwt", jwks={"keys": [public]})
    realm = identity_provider.realm(users=[ERIN], clients=[client])
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, "erin")
    stranger = assertion(ECKey.generate_key("P-256"), realm.issuer, "ES256")
    assert redeem(realm, attempt, answer, client, stranger)[1]["error"] == "invalid_client"
    status, tokens = redeem(realm, attempt, answer, client, assertion(key, realm.issuer, "ES256"))
    assert (status, claims_of(realm, tokens["id_token"])["sub"]) == (200, "erin")


def assertion(key: ECKey | RSAKey, audience: str, algorithm: str, **header: str) -> str:
    now = int(time.time())
    claims = {"iss": "gateway", "sub": "gateway", "aud": audience, "iat": now, "exp": now + 60, "jti": uuid.uuid4().hex}
    known = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jwt.encode({"alg": algorithm, **header}, claims, key, registry=known)


def test_a_client_s_keys_are_fetched_from_where_it_publishes_them(
    identity_provider: IdentityProvider, browser: PlainBrowser, listener: Listener
) -> None:
    key = ECKey.generate_key("P-256")
    listener.page += json.dumps({"keys": [key.as_dict(private=False)]}).encode()
    client = replace(GATEWAY, method="private_key_jwt", jwks_uri="https://app.example.com/jwks")
    via = {"https://app.example.com": listener.url}
    realm = identity_provider.realm(users=[ERIN], clients=[client], via=via)
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, "erin")
    assert redeem(realm, attempt, answer, client, assertion(key, realm.issuer, "ES256"))[0] == 200


def test_parameters_may_be_pushed_and_must_be_where_that_is_required(
    identity_provider: IdentityProvider, browser: PlainBrowser
) -> None:
    realm = identity_provider.realm(users=[ERIN], clients=[GATEWAY], par="required", signs_in="erin")
    metadata = realm.metadata()
    assert metadata["require_pushed_authorization_requests"] is True
    parameters, verifier = question()
    bare = browser.open(f"{metadata['authorization_endpoint']}?{urlencode(parameters)}")
    assert bare.query["error"] == "invalid_request"
    status, pushed = post(realm, metadata["pushed_authorization_request_endpoint"], parameters, GATEWAY)
    assert status == 201
    short = urlencode({"client_id": "gateway", "request_uri": pushed["request_uri"]})
    answer = browser.open(f"{metadata['authorization_endpoint']}?{short}")
    attempt = Attempt("", parameters["state"], parameters["nonce"], verifier)
    assert answer.query["state"] == attempt.state
    assert redeem(realm, attempt, answer)[0] == 200
    assert "pushed_authorization_request_endpoint" not in identity_provider.realm(par="off").metadata()


def test_a_session_needs_no_page_until_a_fresh_sign_in_is_asked_for(realm: Realm, browser: PlainBrowser) -> None:
    assert "auth_time" not in sign_in(realm, browser=browser)
    assert browser.open(begin(realm, prompt="none").url).query["state"]  # no page: there is a session
    assert PlainBrowser(realm.provider).open(begin(realm, prompt="none").url).query["error"] == "login_required"
    first = sign_in(realm, browser=browser, max_age="3600")["auth_time"]
    realm.set(clock=1000)
    assert sign_in(realm, browser=browser, max_age="3600")["auth_time"] == first
    assert browser.open(begin(realm, max_age="600").url).status == 200  # the page
    assert sign_in(realm, browser=browser, max_age="600")["auth_time"] >= first + 1000
    assert browser.open(begin(realm, prompt="login").url).status == 200
    assert browser.open(begin(realm, prompt="select_account").url).status == 200
    realm.set(clock=2000)
    assert sign_in(realm, browser=browser, prompt="login", max_age="3600")["auth_time"] >= first + 2000


def test_a_stronger_sign_in_happens_on_request_and_is_told_as_switched(realm: Realm, browser: PlainBrowser) -> None:
    realm.set(acr_values=["urn:example:strong"])
    assert realm.metadata()["acr_values_supported"] == ["urn:example:strong"]
    assert "acr" not in sign_in(realm, browser=browser)
    assert browser.open(begin(realm, acr_values="urn:example:strong").url).status == 200  # the session is too weak
    strong = sign_in(realm, browser=browser, acr_values="urn:example:strong")
    assert (strong["acr"], strong["amr"]) == ("urn:example:strong", ["pwd", "otp", "mfa"])
    realm.set(acr="urn:example:weak", amr=None)
    weak = sign_in(realm, acr_values="urn:example:strong")
    assert (weak["acr"], weak.get("amr")) == ("urn:example:weak", None)
    realm.set(acr=TRUTHFUL, amr=["hwk"])
    assert sign_in(realm)["amr"] == ["hwk"]
    realm.set(amr=TRUTHFUL)
    attempt = begin(realm)
    tokens = redeem(realm, attempt, PlainBrowser(realm.provider).sign_in(attempt.url, "erin", mfa=True))[1]
    assert claims_of(realm, tokens["id_token"])["amr"] == ["pwd", "otp", "mfa"]


def test_people_and_claims_are_as_given_and_can_be_replaced(realm: Realm, browser: PlainBrowser) -> None:
    assert sign_in(realm, MARA)["email_verified"] is False
    realm.set(users=[replace(ERIN, email="erin@new.example", email_verified=None, claims={"hd": "acme.example"})])
    claims = sign_in(realm)
    assert (claims["email"], claims.get("email_verified"), claims["hd"]) == ("erin@new.example", None, "acme.example")
    realm.set(signs_in="erin")
    assert browser.open(begin(realm).url).query["code"]


def test_claims_may_be_only_in_the_userinfo(identity_provider: IdentityProvider, browser: PlainBrowser) -> None:
    realm = identity_provider.realm(users=[ERIN], clients=[GATEWAY], claims_in="userinfo")
    attempt = begin(realm)
    tokens = redeem(realm, attempt, browser.sign_in(attempt.url, "erin"))[1]
    assert "email" not in claims_of(realm, tokens["id_token"])
    request = urllib.request.Request(realm.metadata()["userinfo_endpoint"])
    request.add_header("Authorization", f"Bearer {tokens['access_token']}")
    with urllib.request.urlopen(request, timeout=120) as response:
        assert json.loads(response.read())["email"] == "erin@acme.example"


def test_ten_tabs_of_a_browser_sign_in_side_by_side(realm: Realm, browser: PlainBrowser) -> None:
    attempts = [begin(realm) for _ in range(10)]
    pages = [browser.open(attempt.url) for attempt in attempts]
    for attempt, page in zip(attempts, pages, strict=True):
        answer = browser.submit(page, user="erin")
        assert answer.query["state"] == attempt.state
        assert redeem(realm, attempt, answer)[0] == 200


def test_cancelling_is_told_to_the_client(realm: Realm, browser: PlainBrowser) -> None:
    attempt = begin(realm)
    answer = browser.cancel(attempt.url)
    assert answer.url.startswith(CALLBACK + "?")
    assert (answer.query["error"], answer.query["state"], answer.query["iss"]) == (
        "access_denied", attempt.state, realm.issuer,
    )  # fmt: skip


def test_an_unknown_client_or_callback_gets_a_page_and_no_answer(realm: Realm, browser: PlainBrowser) -> None:
    for more in ({"client_id": "stranger"}, {"redirect_uri": "http://localhost:2/"}):
        page = browser.open(begin(realm, **more).url)
        assert (page.status, "<h1>Error</h1>" in page.body) == (400, True)


def test_realms_know_nothing_of_each_other(identity_provider: IdentityProvider, browser: PlainBrowser) -> None:
    one, other = (identity_provider.realm(users=[ERIN], clients=[GATEWAY]) for _ in range(2))
    sign_in(one, browser=browser)
    assert browser.open(begin(other).url).status == 200  # no session there
    attempt = begin(one)
    tokens = redeem(one, attempt, browser.sign_in(attempt.url, "erin"))[1]
    with pytest.raises(InvalidKeyIdError):
        claims_of(other, tokens["id_token"])


# Leaving.


@dataclass(slots=True)
class Listener:
    """A client: its back-channel logout endpoint, and a page for everything else."""

    url: str
    received: list[tuple[str, str]]
    page: bytearray


@pytest.fixture
def listener() -> Iterator[Listener]:
    received: list[tuple[str, str]] = []
    page = bytearray()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            received.append((self.headers["Host"], form["logout_token"][0]))
            self.send_response(200 if len(received) == 1 else 400)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Listener(f"http://127.0.0.1:{server.server_port}", received, page)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_command_ends_sessions_and_tells_clients_with_a_signed_token(
    identity_provider: IdentityProvider, browser: PlainBrowser, listener: Listener
) -> None:
    client = replace(GATEWAY, backchannel_logout_uri="https://app.example.com/out")
    via = {"https://app.example.com": listener.url}
    realm = identity_provider.realm(users=[ERIN], clients=[client], via=via)
    sid = sign_in(realm, client=client, browser=browser)["sid"]
    assert realm.log_out("erin") == 1
    [(host, token)] = listener.received
    assert (host, header_of(token)["typ"]) == ("app.example.com", "logout+jwt")
    claims = claims_of(realm, token)
    assert (claims["iss"], claims["aud"], claims["sub"], claims["sid"]) == (realm.issuer, "gateway", "erin", sid)
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims
    assert browser.open(begin(realm).url).status == 200  # the session is gone
    realm.set(logout_token=forgery({"nonce": "x", "sub": None}))
    sign_in(realm, client=client, browser=browser)
    assert realm.log_out("erin") == 1
    forged = claims_of(realm, listener.received[1][1])
    assert (forged["nonce"], forged.get("sub")) == ("x", None)
    assert [sent["status"] for sent in realm.sent()] == [200, 400]
    assert realm.log_out("erin") == 0


def test_whoever_signs_out_at_the_client_signs_out_here_and_returns(
    identity_provider: IdentityProvider, browser: PlainBrowser, listener: Listener
) -> None:
    after = "http://localhost:1/signed-out"
    uri = f"{listener.url}/out"
    client = replace(GATEWAY, post_logout_redirect_uris=(after,), backchannel_logout_uri=uri)
    realm = identity_provider.realm(users=[ERIN], clients=[client])
    attempt = begin(realm)
    tokens = redeem(realm, attempt, browser.sign_in(attempt.url, "erin"))[1]
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": after, "state": "s"})
    left = browser.sign_out(f"{realm.metadata()['end_session_endpoint']}?{query}")
    assert (left.status, left.url) == (303, after + "?state=s")
    assert len(listener.received) == 1
    assert browser.open(begin(realm).url).status == 200
    elsewhere = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "http://evil.example/"})
    assert browser.open(f"{realm.metadata()['end_session_endpoint']}?{elsewhere}").status == 400


# Misbehaviour.


def test_keys_rotate_on_command(realm: Realm) -> None:
    def signs() -> str:
        attempt = begin(realm)
        answer = PlainBrowser(realm.provider).sign_in(attempt.url, "erin")
        return str(header_of(redeem(realm, attempt, answer)[1]["id_token"])["kid"])

    first = signs()
    realm.rotate_keys()
    second = signs()
    assert {first, second} < kids(realm)
    realm.rotate_keys(keep=False)
    third = signs()
    assert len({first, second, third}) == 3
    assert (third in kids(realm), {first, second} & kids(realm)) == (True, set())


@pytest.mark.parametrize("seconds", [600, -600])
def test_its_clock_is_wrong_by_as_much_as_it_is_told(realm: Realm, seconds: int) -> None:
    realm.set(clock=seconds)
    claims = sign_in(realm, max_age="3600")
    assert abs(claims["iat"] - time.time() - seconds) < 60
    assert abs(claims["auth_time"] - time.time() - seconds) < 60
    assert claims["exp"] == claims["iat"] + 3600


def test_tokens_are_forged_as_told(realm: Realm) -> None:
    def token() -> str:
        attempt = begin(realm)
        answer = PlainBrowser(realm.provider).sign_in(attempt.url, "erin")
        return str(redeem(realm, attempt, answer)[1]["id_token"])

    realm.set(id_token=forgery({"iss": "https://evil.example", "nonce": "other", "email": None}))
    claims = claims_of(realm, token())  # the signature is good
    assert (claims["iss"], claims["nonce"], claims.get("email")) == ("https://evil.example", "other", None)
    realm.set(id_token=forgery(key="unknown"))
    with pytest.raises(BadSignatureError):
        claims_of(realm, token())
    realm.set(id_token=forgery(alg="none"))
    assert token().endswith(".")
    realm.set(id_token=forgery(alg="HS256", secret="s", header={"kid": None, "jku": "http://evil.example/"}))
    assert header_of(token()) == {"alg": "HS256", "jku": "http://evil.example/"}
    realm.set(id_token=forgery(raw="nonsense"))
    assert token() == "nonsense"
    realm.set(id_token=None)
    assert claims_of(realm, token())["sub"] == "erin"
    made = realm.sign({"iss": realm.issuer}, header={"typ": "logout+jwt"}, alg="ES256")
    assert (claims_of(realm, made), header_of(made)["typ"]) == ({"iss": realm.issuer}, "logout+jwt")


def test_answers_to_the_client_are_changed_as_told(realm: Realm, browser: PlainBrowser) -> None:
    realm.set(callback={"iss": "https://other.example", "state": None})
    changed = browser.sign_in(begin(realm).url, "erin").query
    assert (changed["iss"], "state" in changed, "code" in changed) == ("https://other.example", False, True)
    realm.set(callback={"code": None, "error": "server_error"})
    refused = browser.sign_in(begin(realm).url, "erin").query
    assert (refused["error"], "code" in refused) == ("server_error", False)
    realm.set(callback=None)
    assert browser.sign_in(begin(realm).url, "erin").query["iss"] == realm.issuer


def test_endpoints_fail_as_told_and_heal(realm: Realm) -> None:
    keys = realm.metadata()["jwks_uri"]
    realm.fail("jwks", close=True)
    with pytest.raises(RemoteDisconnected):
        urllib.request.urlopen(keys, timeout=120)
    assert realm.metadata()["issuer"] == realm.issuer  # only that one
    realm.fail(close=True)
    with pytest.raises(RemoteDisconnected):
        realm.metadata()
    realm.heal()
    realm.fail("jwks", status=503, body="{}", headers={"Retry-After": "7"}, times=1)
    with pytest.raises(urllib.error.HTTPError) as failed:
        realm.jwks()
    with failed.value as answer:
        assert (answer.code, answer.headers["Retry-After"]) == (503, "7")
    assert len(realm.jwks()["keys"]) == 2
    realm.fail("jwks", size=5_000_000, body="{}")
    with urllib.request.urlopen(keys, timeout=120) as endless:
        assert len(endless.read()) == 5_000_002
    realm.fail("jwks", seconds=0.3)
    assert seconds_of(realm.jwks) > 0.3
    realm.fail("jwks", body='{"keys":[]}', drip=0.05)
    assert seconds_of(realm.jwks) > 0.5
    realm.heal()
    assert len(realm.jwks()["keys"]) == 2


def seconds_of(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


# Entra ID.


def test_an_entra_tenant_looks_like_one(identity_provider: IdentityProvider) -> None:
    realm = identity_provider.entra(tenant=TENANT, users=[ERIN], clients=[GATEWAY])
    metadata = realm.metadata()
    assert realm.issuer == f"{identity_provider.origin}/{TENANT}/v2.0" == metadata["issuer"]
    assert metadata["token_endpoint"] == f"{identity_provider.origin}/{TENANT}/oauth2/v2.0/token"
    absent = ("code_challenge_methods_supported", "pushed_authorization_request_endpoint", "backchannel_logout_supported",
              "authorization_response_iss_parameter_supported")  # fmt: skip
    assert not [name for name in absent if name in metadata]
    assert metadata["frontchannel_logout_supported"] is True
    assert all(("alg" in key, key["issuer"]) == (False, realm.issuer) for key in realm.jwks()["keys"])
    common = Realm(identity_provider, "common", f"{identity_provider.origin}/common/v2.0")
    assert common.metadata()["issuer"] == identity_provider.origin + "/{tenantid}/v2.0"
    assert {key["kid"] for key in common.jwks()["keys"]} >= {key["kid"] for key in realm.jwks()["keys"]}


def test_entra_names_people_by_tenant_and_object_and_vouches_for_no_email(
    identity_provider: IdentityProvider, browser: PlainBrowser
) -> None:
    erin = replace(ERIN, id=str(uuid.uuid4()))
    other = Client("another", (CALLBACK,))
    realm = identity_provider.entra(users=[erin], clients=[GATEWAY, other])
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, erin.id)
    assert set(answer.query) == {"code", "state", "session_state"}
    tokens = redeem(realm, attempt, answer)[1]
    claims = claims_of(realm, tokens["id_token"])
    assert (claims["iss"], claims["tid"], claims["oid"], claims["ver"]) == (realm.issuer, realm.tenant, erin.id, "2.0")
    assert (claims["preferred_username"], claims["email"]) == (erin.email, erin.email)
    assert (claims["groups"], claims["roles"], claims["nonce"]) == (["staff", "hr"], ["manager"], attempt.nonce)
    absent = {"email_verified", "xms_edov", "amr", "acr", "acrs", "acct", "auth_time", "sid", "at_hash", "idp"}
    assert absent & set(claims) == set()
    assert claims["sub"] not in (erin.id, sign_in(realm, erin, other)["sub"])
    assert claims["sub"] == sign_in(realm, erin)["sub"]
    assert "email" not in sign_in(realm, erin, scope="openid profile")


def test_entra_tells_more_where_an_administrator_says_so(identity_provider: IdentityProvider) -> None:
    optional = ["acct", "auth_time", "sid", "upn"]
    guest = replace(ERIN, id="guest", email="gus@beta.example", home_tenant=TENANT)
    crowd = replace(ERIN, id="crowd", groups=tuple(str(uuid.UUID(int=n)) for n in range(201)))
    vouched = replace(ERIN, id="vouched", claims={"xms_edov": True})
    realm = identity_provider.entra(users=[guest, crowd, vouched], clients=[GATEWAY], optional_claims=optional)
    visitor = sign_in(realm, guest, scope="openid profile")
    assert (visitor["acct"], visitor["idp"]) == (1, f"https://sts.windows.net/{TENANT}/")
    assert (visitor["email"], visitor["tid"], "#EXT#" in visitor["upn"]) == ("gus@beta.example", realm.tenant, True)
    many = sign_in(realm, crowd)
    assert ("groups" in many, many["_claim_names"]) == (False, {"groups": "src1"})
    assert many["_claim_sources"]["src1"]["endpoint"].endswith("/users/crowd/getMemberObjects")
    member = sign_in(realm, vouched)
    assert (member["xms_edov"], member["acct"]) == (True, 0)
    assert abs(member["auth_time"] - time.time()) < 60


def test_entra_answers_a_demand_for_an_authentication_context(
    identity_provider: IdentityProvider, browser: PlainBrowser
) -> None:
    realm = identity_provider.entra(users=[ERIN], clients=[GATEWAY])
    assert "acrs" not in sign_in(realm, browser=browser)
    wanted = json.dumps({"id_token": {"acrs": {"essential": True, "value": "c1"}}})
    assert browser.open(begin(realm, claims=wanted).url).status == 200  # the page again
    claims = sign_in(realm, browser=browser, claims=wanted)
    assert (claims["acrs"], "amr" in claims) == (["c1"], False)


def test_all_tenants_of_entra_sign_with_the_same_keys(identity_provider: IdentityProvider) -> None:
    one, other = (identity_provider.entra(users=[ERIN], clients=[GATEWAY]) for _ in range(2))
    attempt = begin(one)
    tokens = redeem(one, attempt, PlainBrowser(identity_provider).sign_in(attempt.url, "erin"))[1]
    assert claims_of(other, tokens["id_token"])["tid"] == one.tenant
    others = [identity_provider.realm() for _ in range(8)]  # as many as have keys of their own
    assert all(kids(one).isdisjoint(kids(each)) for each in others)
    apart = identity_provider.entra(users=[ERIN], clients=[GATEWAY], shares_keys_with="")
    with pytest.raises(InvalidKeyIdError):
        claims_of(apart, tokens["id_token"])
    apart.rotate_keys()
    assert len(apart.jwks()["keys"]) == 2
    assert sign_in(apart)["tid"] == apart.tenant


def test_entra_refuses_in_its_own_words(identity_provider: IdentityProvider, browser: PlainBrowser) -> None:
    realm = identity_provider.entra(users=[ERIN], clients=[GATEWAY])
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, "erin")
    status, refusal = redeem(realm, attempt, answer, replace(GATEWAY, secret="expired"))
    assert (status, refusal["error"], refusal["error_codes"]) == (401, "invalid_client", [7000215])
    assert refusal["error_description"].startswith("AADSTS7000215: ")
    cancelled = PlainBrowser(identity_provider).cancel(begin(realm).url).query
    assert (cancelled["error"], cancelled["error_subcode"], "iss" in cancelled) == ("access_denied", "cancel", False)
    assert cancelled["error_description"].startswith("AADSTS65004: ")


def test_entra_takes_only_assertions_that_name_a_certificate(
    identity_provider: IdentityProvider, browser: PlainBrowser
) -> None:
    key = RSAKey.generate_key(2048)
    client = replace(
        GATEWAY, method="private_key_jwt", jwks={"keys": [key.as_dict(private=False)]}, certificate_thumbprint="thumb"
    )
    realm = identity_provider.entra(users=[ERIN], clients=[client])
    endpoint = realm.metadata()["token_endpoint"]
    attempt = begin(realm)
    answer = browser.sign_in(attempt.url, "erin")
    for refused in (
        assertion(key, endpoint, "PS256"),
        assertion(key, realm.issuer, "PS256", **{"x5t#S256": "thumb"}),
    ):
        assert redeem(realm, attempt, answer, client, refused)[1]["error"] == "invalid_client"
    good = assertion(key, endpoint, "PS256", **{"x5t#S256": "thumb"})
    assert redeem(realm, attempt, answer, client, good)[0] == 200


def test_entra_signs_people_out_of_applications_in_frames(
    identity_provider: IdentityProvider, browser: PlainBrowser
) -> None:
    client = replace(GATEWAY, frontchannel_logout_uri="http://localhost:1/out")
    realm = identity_provider.entra(users=[ERIN], clients=[client], optional_claims=["sid"])
    sid = sign_in(realm, client=client, browser=browser)["sid"]
    query = urlencode({"post_logout_redirect_uri": CALLBACK})
    page = browser.sign_out(f"{realm.metadata()['end_session_endpoint']}?{query}")
    assert f'<iframe hidden src="http://localhost:1/out?sid={sid}">' in page.body
    assert f'content="1; url={CALLBACK}"' in page.body
    assert browser.open(begin(realm).url).status == 200


# Elsewhere.


def test_it_speaks_tls(tmp_path: Path) -> None:
    provider = IdentityProvider(tmp_path, host="localhost", authority=make_authority(tmp_path)).start()
    try:
        realm = provider.realm(users=[ERIN], clients=[GATEWAY])
        assert realm.issuer.startswith("https://localhost:")
        assert sign_in(realm)["iss"] == realm.issuer
    finally:
        provider.stop()


def test_its_page_works_in_chromium(identity_provider: IdentityProvider, listener: Listener) -> None:
    client = replace(GATEWAY, redirect_uris=(f"{listener.url}/callback",))
    realm = identity_provider.realm(users=[ERIN, MARA], clients=[client])
    with chromium(SHELL) as browser:
        page = browser.new_page()
        attempt = begin(realm, client)
        page.goto(attempt.url)
        page.get_by_label("With a second step").check()
        page.get_by_role("button", name="Erin Zoë").click()
        page.wait_for_url(re.compile(re.escape(client.redirect_uris[0])))
        tokens = redeem(realm, attempt, Answer(page.url, 303, ""), client)[1]
        claims = claims_of(realm, tokens["id_token"])
        assert (claims["sub"], claims["amr"]) == ("erin", ["pwd", "otp", "mfa"])
        page.goto(begin(realm, client, prompt="login").url)
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_url(re.compile(r"error=access_denied"))
