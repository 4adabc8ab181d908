"""Reads a provider's metadata (OpenID Connect Discovery 1.0, RFC 8414). Pure."""

from __future__ import annotations

from gateway.sso.oidc import entra
from gateway.sso.oidc.addresses import read_url
from gateway.sso.oidc.encoding import read_object, shown
from gateway.sso.oidc.record import ALGORITHMS, Metadata, Refusal, Refused, Rejected

WELL_KNOWN = "/.well-known/openid-configuration"
CLIENT_METHODS = frozenset(("client_secret_basic", "client_secret_post", "private_key_jwt"))


def metadata_url(issuer: str) -> str:
    """Return where an issuer has its metadata (Discovery 1.0 §4)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def check_issuer(issuer: str, *, allows_http: bool = False) -> Refusal | None:
    """Return why a tenant can't have an issuer, or None. `allows_http`: http is accepted for this machine."""
    if entra.is_pattern(issuer):
        return Refusal.ISSUER_PATTERN
    if "?" in issuer or read_url(issuer, allows_http=allows_http) is None:
        return Refusal.ISSUER_URL
    return Refusal.PERSONAL_ACCOUNTS if entra.is_personal(issuer) else None


def read_metadata(document: bytes, issuer: str, *, allows_http: bool = False) -> Metadata | Refused:
    """Return the metadata of an issuer, from the document at `metadata_url(issuer)`."""
    if (refusal := check_issuer(issuer, allows_http=allows_http)) is not None:
        return Refused(refusal)
    try:
        return _read(read_object(document, Refusal.NOT_JSON), issuer, allows_http)
    except Rejected as rejected:
        return rejected.refused


def _read(given: dict[str, object], issuer: str, allows_http: bool) -> Metadata:
    _check_same(given.get("issuer"), issuer)
    if "code" not in _read_list(given, "response_types_supported", Refusal.NO_CODE_FLOW):
        raise Rejected(Refusal.NO_CODE_FLOW)
    offered = _read_list(given, "id_token_signing_alg_values_supported", Refusal.ALGORITHMS)
    if ALGORITHMS.isdisjoint(offered):
        raise Rejected(Refusal.ALGORITHMS, shown(" ".join(sorted(offered))))
    methods = frozenset(("client_secret_basic",))  # the default
    if "token_endpoint_auth_methods_supported" in given:
        methods = _read_list(given, "token_endpoint_auth_methods_supported", Refusal.CLIENT_METHODS)
    if CLIENT_METHODS.isdisjoint(methods):
        raise Rejected(Refusal.CLIENT_METHODS, shown(" ".join(sorted(methods))))
    algorithms: frozenset[str] = frozenset()
    if "token_endpoint_auth_signing_alg_values_supported" in given:
        algorithms = _read_list(given, "token_endpoint_auth_signing_alg_values_supported", Refusal.CLIENT_METHODS)
    requires_pushed = given.get("require_pushed_authorization_requests") is True
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_read_endpoint(given, "authorization_endpoint", allows_http),
        token_endpoint=_read_endpoint(given, "token_endpoint", allows_http),
        jwks_uri=_read_endpoint(given, "jwks_uri", allows_http),
        pushed_authorization_request_endpoint=_read_endpoint(
            given, "pushed_authorization_request_endpoint", allows_http, is_optional=not requires_pushed
        ),
        end_session_endpoint=_read_endpoint(given, "end_session_endpoint", allows_http, is_optional=True),
        says_issuer=given.get("authorization_response_iss_parameter_supported") is True,
        requires_pushed=requires_pushed,
        algorithms=ALGORITHMS & offered,
        client_methods=CLIENT_METHODS & methods,
        client_algorithms=algorithms,
    )


def _check_same(found: object, issuer: str) -> None:
    """Refuse another issuer than the one that was asked for (§4.3): it would speak for that one's people."""
    if not isinstance(found, str):
        raise Rejected(Refusal.ISSUER_DIFFERS)
    if entra.is_pattern(found):
        raise Rejected(Refusal.ISSUER_PATTERN, shown(found))
    if found != issuer:
        raise Rejected(Refusal.ISSUER_DIFFERS, shown(found))


def _read_endpoint(given: dict[str, object], name: str, allows_http: bool, *, is_optional: bool = False) -> str:
    url = given.get(name)
    if url is None and is_optional:
        return ""
    if not isinstance(url, str) or read_url(url, allows_http=allows_http) is None:
        raise Rejected(Refusal.ENDPOINT, name)
    return url


def _read_list(given: dict[str, object], name: str, otherwise: Refusal) -> frozenset[str]:
    found = given.get(name)
    if not isinstance(found, list):
        raise Rejected(otherwise)
    return frozenset(each for each in found if isinstance(each, str))
