from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.secret import Secret
from gateway.model.token import new_token
from gateway.sso.oidc.record import Kind, Metadata, Provider, Refusal, Refused
from gateway.sso.oidc.request import (
    Answer,
    Question,
    authorization_url,
    challenge_of,
    check_answer,
    pushed_url,
    read_answer,
)

ISSUER = "https://id.example.com"
METADATA = Metadata(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/jwks", frozenset(("RS256",)))
PROVIDER = Provider(
    "idp_1", "acme", ISSUER, "client 1&2", Secret("a secret"), Kind.GENERIC, ("openid", "email"), is_enabled=True
)
QUESTION = Question("https://work.example/login/sso/callback", Secret("STATE"), Secret("NONCE"), Secret("VERIFIER"))


def test_the_challenge_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_our_tokens_are_verifiers() -> None:
    assert 43 <= len(new_token().reveal()) <= 128
    assert len(challenge_of(new_token())) == 43


def parameters(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_browser_is_sent_with_pkce_state_and_nonce_and_without_the_verifier() -> None:
    url = authorization_url(METADATA, PROVIDER, QUESTION)
    assert url.startswith(f"{ISSUER}/auth?")
    assert parameters(url) == {
        "response_type": "code",
        "client_id": "client 1&2",
        "redirect_uri": QUESTION.redirect_uri,
        "scope": "openid email",
        "state": "STATE",
        "nonce": "NONCE",
        "code_challenge": challenge_of(Secret("VERIFIER")),
        "code_challenge_method": "S256",
    }
    assert "VERIFIER" not in url
    assert "secret" not in url


def test_a_fresh_sign_in_is_asked_for() -> None:
    question = replace(QUESTION, prompt="login", max_age=0, acr_values=("a", "b"))
    found = parameters(authorization_url(METADATA, PROVIDER, question))
    assert (found["prompt"], found["max_age"], found["acr_values"]) == ("login", "0", "a b")


@pytest.mark.parametrize(("values", "wanted"), [(("c1",), {"value": "c1"}), (("c1", "c2"), {"values": ["c1", "c2"]})])
def test_entra_id_is_asked_for_authentication_contexts(values: tuple[str, ...], wanted: dict[str, object]) -> None:
    entra = replace(PROVIDER, kind=Kind.ENTRA)
    found = parameters(authorization_url(METADATA, entra, replace(QUESTION, acr_values=values)))
    assert "acr_values" not in found
    assert json.loads(found["claims"]) == {"id_token": {"acrs": {"essential": True, **wanted}}}


def test_an_endpoints_own_parameters_stay_and_can_replace_none_of_ours() -> None:
    metadata = replace(METADATA, authorization_endpoint=f"{ISSUER}/auth?p=B2C_1&state=theirs&client_id=theirs&empty=")
    found = parameters(authorization_url(metadata, PROVIDER, QUESTION))
    assert (found["p"], found["empty"], found["state"], found["client_id"]) == ("B2C_1", "", "STATE", "client 1&2")


def test_a_pushed_request_is_only_named() -> None:
    url = pushed_url(METADATA, PROVIDER, "urn:ietf:params:oauth:request_uri:x")
    assert parameters(url) == {"client_id": "client 1&2", "request_uri": "urn:ietf:params:oauth:request_uri:x"}


def test_secrets_are_in_no_representation() -> None:
    answer = read_answer("state=STATE&code=CODE")
    assert "STATE" not in repr(QUESTION) + repr(answer)
    assert "CODE" not in repr(answer)
    assert "VERIFIER" not in repr(QUESTION)
    assert "a secret" not in repr(PROVIDER)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("state=S&code=C", Answer(Secret("S"), Secret("C"))),
        ("code=a%2Fb+c&state=S&session_state=x&scope=openid", Answer(Secret("S"), Secret("a/b c"))),
        ("state=S&code=C&iss=https%3A%2F%2Fid.example.com", Answer(Secret("S"), Secret("C"), issuer=ISSUER)),
        ("state=S&error=access_denied", Answer(Secret("S"), Secret(""), "access_denied")),
        (
            "state=S&error=server_error&error_description=AADSTS1%0d%0aX%1b&error_uri=https://x",
            Answer(Secret("S"), Secret(""), "server_error", "AADSTS1X"),
        ),
    ],
)
def test_an_answer_is_read(query: str, answer: Answer) -> None:
    assert read_answer(query) == answer


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", Refusal.STATE),
        ("code=C", Refusal.STATE),
        ("code=C&state=", Refusal.STATE),
        ("code=C&state=a%00b", Refusal.STATE),
        ("code=C&state=%C3%A9", Refusal.STATE),
        ("error=access_denied", Refusal.STATE),
        ("state=S", Refusal.ANSWER),
        ("state=S&code=", Refusal.ANSWER),
        ("state=S&code=a%0Ab", Refusal.ANSWER),
        ("state=S&code=" + 4_097 * "a", Refusal.ANSWER),
        ("state=S&code=C&error=access_denied", Refusal.ANSWER),
        ("state=S&code=C&error=", Refusal.ANSWER),
        ("state=S&code=&error=access_denied", Refusal.ANSWER),
        ("state=S&error=", Refusal.ANSWER),
        ("state=S&error=%22%3E", Refusal.ANSWER),
        ("state=S&error=" + 65 * "a", Refusal.ANSWER),
        ("state=S&code=C&x=%ff", Refusal.ANSWER),
        ("state=S&code=C" + 40 * "&x=y", Refusal.ANSWER),
        ("state=S&code=C&x=" + 9_000 * "a", Refusal.ANSWER),
        ("state=S&state=S&code=C", Refusal.DUPLICATE),
        ("state=S&code=C&code=D", Refusal.DUPLICATE),
        ("state=S&code=C&c%6Fde=C", Refusal.DUPLICATE),
        ("state=S&code=C&iss=a&iss=b", Refusal.DUPLICATE),
        ("state=S&error=a&error=b", Refusal.DUPLICATE),
        ("state=S&code=C&session_state=x&session_state=x", Refusal.DUPLICATE),
    ],
)
def test_a_hostile_answer_is_refused_with_a_reason(query: str, reason: Refusal) -> None:
    assert read_answer(query) == Refused(reason)


@given(st.dictionaries(st.sampled_from(["state", "code", "error", "iss", "x"]), st.text(max_size=20)))
def test_no_answer_breaks_the_reader(given: dict[str, str]) -> None:
    query = urlencode({name: value.encode("utf-8", "surrogatepass") for name, value in given.items()})
    answer = read_answer(query)
    assert isinstance(answer, Refused) or bool(answer.code) != bool(answer.error)


@pytest.mark.parametrize(
    ("says_issuer", "issuer", "is_refused"),
    [
        (False, "", False),
        (True, "", True),
        (False, ISSUER, False),
        (True, ISSUER, False),
        (False, "https://evil.example", True),
        (True, "https://evil.example", True),
        (True, f"{ISSUER}/", True),
    ],
)
def test_an_answer_of_another_provider_is_refused(says_issuer: bool, issuer: str, is_refused: bool) -> None:
    answer = read_answer(f"state=S&code=C&iss={quote(issuer)}")
    assert isinstance(answer, Answer)
    refused = check_answer(answer, replace(METADATA, says_issuer=says_issuer))
    assert refused == (Refused(Refusal.ANSWER_ISSUER, issuer) if is_refused else None)
