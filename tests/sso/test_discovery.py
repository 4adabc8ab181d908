from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sso.oidc.discovery import check_issuer, metadata_url, read_metadata
from gateway.sso.oidc.record import Metadata, Refusal, Refused

ISSUER = "https://id.example.com/realms/acme"
TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
GIVEN: dict[str, object] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?theme=acme",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": "https://keys.example.com/jwks",
    "response_types_supported": ["code", "code id_token"],
    "id_token_signing_alg_values_supported": ["HS256", "RS256", "ES256", "none"],
    "unknown": {"of": ["no", "interest"]},
}


def read(changes: dict[str, object], issuer: str = ISSUER, *, allows_http: bool = False) -> Metadata | Refused:
    given = {name: value for name, value in (GIVEN | changes).items() if value is not ...}
    return read_metadata(json.dumps(given).encode(), issuer, allows_http=allows_http)


def test_metadata_is_read() -> None:
    assert read({}) == Metadata(
        ISSUER,
        f"{ISSUER}/auth?theme=acme",
        f"{ISSUER}/token",
        "https://keys.example.com/jwks",
        frozenset(("RS256", "ES256")),
    )


def test_what_a_provider_may_offer_is_read() -> None:
    found = read(
        {
            "pushed_authorization_request_endpoint": f"{ISSUER}/par",
            "end_session_endpoint": f"{ISSUER}/logout",
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "tls_client_auth"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "HS256"],
            "require_pushed_authorization_requests": True,
        }
    )
    assert isinstance(found, Metadata)
    assert found.pushed_authorization_request_endpoint == f"{ISSUER}/par"
    assert found.end_session_endpoint == f"{ISSUER}/logout"
    assert found.says_issuer
    assert found.client_methods == {"client_secret_post", "private_key_jwt"}
    assert found.client_algorithms == {"ES256", "HS256"}
    assert found.requires_pushed


def test_the_gateway_asks_only_where_the_metadata_says() -> None:
    found = read({"pushed_authorization_request_endpoint": "https://par.example.com:8443/x"})
    assert isinstance(found, Metadata)
    assert found.origins == {
        "https://id.example.com:443",
        "https://keys.example.com:443",
        "https://par.example.com:8443",
    }


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"issuer": ...}, Refused(Refusal.ISSUER_DIFFERS)),
        ({"issuer": [ISSUER]}, Refused(Refusal.ISSUER_DIFFERS)),
        ({"issuer": f"{ISSUER}/"}, Refused(Refusal.ISSUER_DIFFERS, f"{ISSUER}/")),
        ({"issuer": ISSUER.upper()}, Refused(Refusal.ISSUER_DIFFERS, ISSUER.upper())),
        ({"issuer": "https://id.example.com"}, Refused(Refusal.ISSUER_DIFFERS, "https://id.example.com")),
        ({"issuer": "https://x/{tenantid}/v2.0"}, Refused(Refusal.ISSUER_PATTERN, "https://x/{tenantid}/v2.0")),
        ({"response_types_supported": ...}, Refused(Refusal.NO_CODE_FLOW)),
        ({"response_types_supported": "code"}, Refused(Refusal.NO_CODE_FLOW)),
        ({"response_types_supported": ["id_token", "code token"]}, Refused(Refusal.NO_CODE_FLOW)),
        ({"id_token_signing_alg_values_supported": ...}, Refused(Refusal.ALGORITHMS)),
        ({"id_token_signing_alg_values_supported": "RS256"}, Refused(Refusal.ALGORITHMS)),
        ({"id_token_signing_alg_values_supported": []}, Refused(Refusal.ALGORITHMS)),
        ({"id_token_signing_alg_values_supported": ["none", "HS256", 5]}, Refused(Refusal.ALGORITHMS, "HS256 none")),
        ({"token_endpoint_auth_methods_supported": ["none"]}, Refused(Refusal.CLIENT_METHODS, "none")),
        ({"token_endpoint_auth_methods_supported": None}, Refused(Refusal.CLIENT_METHODS)),
        ({"authorization_endpoint": ...}, Refused(Refusal.ENDPOINT, "authorization_endpoint")),
        ({"authorization_endpoint": "javascript:alert(1)"}, Refused(Refusal.ENDPOINT, "authorization_endpoint")),
        ({"authorization_endpoint": "http://id.example.com/a"}, Refused(Refusal.ENDPOINT, "authorization_endpoint")),
        ({"authorization_endpoint": f"{ISSUER}/a#x"}, Refused(Refusal.ENDPOINT, "authorization_endpoint")),
        ({"token_endpoint": None}, Refused(Refusal.ENDPOINT, "token_endpoint")),
        ({"token_endpoint": "/token"}, Refused(Refusal.ENDPOINT, "token_endpoint")),
        ({"token_endpoint": "http://127.0.0.1/token"}, Refused(Refusal.ENDPOINT, "token_endpoint")),
        ({"jwks_uri": "file:///etc/passwd"}, Refused(Refusal.ENDPOINT, "jwks_uri")),
        ({"jwks_uri": 5}, Refused(Refusal.ENDPOINT, "jwks_uri")),
        (
            {"pushed_authorization_request_endpoint": ""},
            Refused(Refusal.ENDPOINT, "pushed_authorization_request_endpoint"),
        ),
        (
            {"require_pushed_authorization_requests": True},
            Refused(Refusal.ENDPOINT, "pushed_authorization_request_endpoint"),
        ),
        ({"token_endpoint_auth_signing_alg_values_supported": "RS256"}, Refused(Refusal.CLIENT_METHODS)),
        ({"end_session_endpoint": "https://user@x"}, Refused(Refusal.ENDPOINT, "end_session_endpoint")),
    ],
)
def test_unfit_metadata_is_refused_with_a_reason(changes: dict[str, object], refused: Refused) -> None:
    assert read(changes) == refused


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", Refusal.NOT_JSON),
        (b"<html>", Refusal.NOT_JSON),
        (b"[]", Refusal.NOT_JSON),
        (b'{"issuer": "https://evil.example", "issuer": "' + ISSUER.encode() + b'"}', Refusal.DUPLICATE),
    ],
)
def test_a_document_that_is_no_metadata_is_refused(document: bytes, reason: Refusal) -> None:
    assert read_metadata(document, ISSUER) == Refused(reason)


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        (ISSUER, None),
        ("https://id.example.com/", None),
        (ENTRA, None),
        ("https://accounts.google.com", None),
        ("http://id.example.com", Refusal.ISSUER_URL),
        ("http://localhost:8080/realms/acme", Refusal.ISSUER_URL),
        ("https://id.example.com?x=y", Refusal.ISSUER_URL),
        ("https://id.example.com/?", Refusal.ISSUER_URL),
        ("https://id.example.com/#x", Refusal.ISSUER_URL),
        ("id.example.com", Refusal.ISSUER_URL),
        ("", Refusal.ISSUER_URL),
        ("https://[", Refusal.ISSUER_URL),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", Refusal.ISSUER_PATTERN),
        ("https://login.microsoftonline.com/common/v2.0", Refusal.ISSUER_PATTERN),
        ("https://login.microsoftonline.com/organizations/v2.0", Refusal.ISSUER_PATTERN),
        ("https://login.microsoftonline.com/consumers/v2.0", Refusal.ISSUER_PATTERN),
        (f"https://login.microsoftonline.com/{PERSONAL}/v2.0", Refusal.PERSONAL_ACCOUNTS),
    ],
)
def test_an_issuer_is_one_companys_own_url(issuer: str, reason: Refusal | None) -> None:
    assert check_issuer(issuer) == reason
    assert reason is None or read_metadata(b"{}", issuer) == Refused(reason)


def test_http_is_for_this_machine_only_and_if_allowed() -> None:
    local = "http://127.0.0.1:8080/r1"
    changes: dict[str, object] = {
        "issuer": local,
        "authorization_endpoint": f"{local}/auth",
        "token_endpoint": f"{local}/token",
        "jwks_uri": f"{local}/jwks",
    }
    assert read(changes, local) == Refused(Refusal.ISSUER_URL)
    assert isinstance(read(changes, local, allows_http=True), Metadata)
    elsewhere = changes | {"jwks_uri": "http://id.example.com/jwks"}
    assert read(elsewhere, local, allows_http=True) == Refused(Refusal.ENDPOINT, "jwks_uri")


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://id.example.com", "https://id.example.com/.well-known/openid-configuration"),
        ("https://id.example.com/", "https://id.example.com/.well-known/openid-configuration"),
        (ENTRA, f"{ENTRA}/.well-known/openid-configuration"),
    ],
)
def test_the_document_is_below_the_issuer(issuer: str, url: str) -> None:
    assert metadata_url(issuer) == url


@given(st.dictionaries(st.sampled_from(sorted(GIVEN)), st.none() | st.text() | st.lists(st.text()) | st.integers()))
def test_no_metadata_breaks_the_reader(changes: dict[str, object]) -> None:
    assert isinstance(read(changes), Metadata | Refused)
