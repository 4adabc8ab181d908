"""What the gateway asks a provider through the browser, and what the browser brings back. Pure.

The code flow of OpenID Connect Core 1.0 §3.1, with PKCE (RFC 7636), pushed requests (RFC 9126) and the issuer in the
answer (RFC 9207). The caller makes the random values, and sees to it that an answer's `state` is one that this browser
was sent away with, once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from gateway.model.base64url import encode_base64url
from gateway.model.secret import Secret
from gateway.sso.oidc.encoding import shown
from gateway.sso.oidc.errors import ERROR
from gateway.sso.oidc.record import Kind, Metadata, Provider, Refusal, Refused

MAX_QUERY = 8_192  # characters; Entra ID's codes have more than 1,000
MAX_PARAMETERS = 32
MAX_CODE = 4_096
VISIBLE = re.compile(r"[ -~]+")  # RFC 6749, appendix A: VSCHAR, of codes and states


@dataclass(frozen=True, slots=True)
class Question:
    """One attempt to sign in. `state`, `nonce` and `verifier` are random, as of `new_token`.

    `prompt="login"` asks a person who is signed in at the provider again, and `max_age` (seconds) one who has been for
    longer than that; `acr_values` are the classes of sign-in that are wanted.
    """

    redirect_uri: str
    state: Secret[str]
    nonce: Secret[str]
    verifier: Secret[str]
    prompt: str = ""
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answers through the browser: either a `code` or an `error`. `issuer` is "" if it says none."""

    state: Secret[str]
    code: Secret[str]
    error: str = ""
    error_description: str = ""
    issuer: str = ""


def challenge_of(verifier: Secret[str]) -> str:
    """Return the code challenge S256 of a verifier (RFC 7636 §4.2)."""
    return encode_base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def can_ask_anew(provider: Provider) -> bool:
    """Whether a person who is signed in at the provider can be made to sign in again. Google refuses `prompt=login`."""
    return provider.kind is not Kind.GOOGLE


def parameters_of(provider: Provider, question: Question) -> dict[str, str]:
    """Return the parameters of an authentication request (§3.1.2.1)."""
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": question.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": question.state.reveal(),
        "nonce": question.nonce.reveal(),
        "code_challenge": challenge_of(question.verifier),
        "code_challenge_method": "S256",
    }
    if question.prompt:
        parameters["prompt"] = question.prompt
    if question.max_age is not None:
        parameters["max_age"] = str(question.max_age)
    if question.acr_values:
        parameters |= classes_of(provider, question.acr_values)
    return parameters


def classes_of(provider: Provider, values: tuple[str, ...]) -> dict[str, str]:
    """Return how a provider is asked for classes of sign-in. Entra ID has authentication contexts instead (`acrs`)."""
    if provider.kind is not Kind.ENTRA:
        return {"acr_values": " ".join(values)}
    wanted: dict[str, object] = {"value": values[0]} if len(values) == 1 else {"values": values}
    return {"claims": json.dumps({"id_token": {"acrs": {"essential": True, **wanted}}}, separators=(",", ":"))}


def authorization_url(metadata: Metadata, provider: Provider, question: Question) -> str:
    """Return the URL to which the browser is sent. It has the state and the nonce, but not the verifier."""
    return with_query(metadata.authorization_endpoint, parameters_of(provider, question))


def pushed_url(metadata: Metadata, provider: Provider, request_uri: str) -> str:
    """The same for a request that was pushed before (RFC 9126 §4)."""
    return with_query(metadata.authorization_endpoint, {"client_id": provider.client_id, "request_uri": request_uri})


def with_query(endpoint: str, parameters: Mapping[str, str]) -> str:
    """Add parameters to those that an endpoint has itself (RFC 6749 §3.1), and replace those of the same name."""
    parts = urlsplit(endpoint)
    own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    return parts._replace(query=urlencode([*own, *parameters.items()])).geturl()


def read_answer(query: str) -> Answer | Refused:
    """Read the query of the callback, still encoded (RFC 6749 §4.1.2)."""
    given = read_query(query)
    if isinstance(given, Refused):
        return given
    state, code, error = given.get("state", ""), given.get("code", ""), given.get("error", "")
    if not VISIBLE.fullmatch(state):
        return Refused(Refusal.STATE)
    is_code = VISIBLE.fullmatch(code) is not None and len(code) <= MAX_CODE
    is_error = ERROR.fullmatch(error) is not None
    if is_code == is_error or (is_code and "error" in given) or (is_error and "code" in given):
        return Refused(Refusal.ANSWER)
    description = shown(given.get("error_description", ""))
    return Answer(Secret(state), Secret(code), error, description, given.get("iss", ""))


def read_query(query: str) -> dict[str, str] | Refused:
    """Return the parameters of a query. None may be there twice: its readers could see different ones."""
    if len(query) > MAX_QUERY:
        return Refused(Refusal.ANSWER)
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return Refused(Refusal.ANSWER)
    given = dict(pairs)
    return given if len(given) == len(pairs) else Refused(Refusal.DUPLICATE)


def check_answer(answer: Answer, metadata: Metadata) -> Refused | None:
    """Check that an answer is of the provider that was asked (RFC 9207 §2.4): to be done before the code is used.

    Otherwise a provider could bring the gateway to hand it the codes of another one.
    """
    if answer.issuer == metadata.issuer or (not answer.issuer and not metadata.says_issuer):
        return None
    return Refused(Refusal.ANSWER_ISSUER, shown(answer.issuer))
