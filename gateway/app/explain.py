"""Explains how a request would be handled, by running the real decision on a constructed request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gateway.app.services import Services
from gateway.edge.request_line import SERVER_ITSELF
from gateway.model.account import Account, Status
from gateway.model.api_token import PERSON, Grant
from gateway.model.clock import DAY
from gateway.model.factor import API_TOKEN, SECOND, Factor, Proof
from gateway.model.factor_policy import NO_POLICY, TenantPolicy
from gateway.model.inbound import Inbound, Resource
from gateway.model.network_rule import NetworkRule
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.policy.decision import Decision, Forward, Outside, Page, Refuse, SignIn, StepUp, decide
from gateway.settings import Settings
from gateway.wire.failures import Failure

ADDRESS = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)
METHOD = re.compile(r"[A-Z][A-Z-]*")
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def explain(
    settings: Settings,
    method: str,
    url: str,
    account: Account | None,
    now: int,
    fields: Iterable[str] = (),
    demanded: TenantPolicy = NO_POLICY,
    *,
    networks: NetworkRule | None = None,
    address: str = "",
) -> dict[str, str]:
    """Return the decision, its reason, and the identity that would be sent, as label and text.

    The session is assumed to have just begun. `demanded` is what the account's tenant demands, `fields` are further
    lines of the head, such as `Depth: 0`. `networks` is the account's rule, which applies if there is an `address`.
    Raises Unclear for an invalid `method` or `url`.
    """
    method = read_method(method)
    host, target = read_url(url, settings.public_url)
    head = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *fields))
    hidden = {name: Secret("…") for name in settings.credentials}
    services = Services(settings.model_copy(update={"credentials": hidden}))
    inbound = services.reader().read(head.encode("utf-8", "replace"), "")
    if isinstance(inbound, Failure):
        return {"decision": f"refused with {inbound.value.status}", "because": inbound.value.sentence}
    if account is not None and account.status is not Status.ACTIVE:
        account = None
    session = session_of(settings, account, demanded, now) if account else None
    if session is not None and address:
        session, inbound = replace(session, networks=networks), inbound._replace(address=address)
    decision = decide(inbound, session, services.rules, now)
    explanation = {
        "decision": describe(decision, inbound),
        "because": f"{address} is {decision.by}" if isinstance(decision, Outside) else str(decision.by),
        "path": " and ".join(inbound.readings),
    }
    if networks is not None and not address:
        explanation["networks"] = "this account may be used from some networks only; say from which with --address"
    if inbound.reach:
        explanation["reaches"] = "; ".join(describe_resource(resource) for resource in inbound.reach)
    if isinstance(decision, Forward) and decision.session:
        told = services.identities.fields(decision.session, now)
        explanation["identity"] = "; ".join(
            f"{name}: {value}" for name, value in told if not name.endswith("Assertion")
        )
    return explanation


class Unclear(ValueError):
    """The method or URL is invalid. The message says what to write instead."""


def read_method(text: str) -> str:
    method = text.upper()
    if not METHOD.fullmatch(method):
        raise Unclear(f"{text!r} is no method; write one like GET, and behind it the path")
    return method


def read_url(text: str, public_url: str) -> tuple[str, str]:
    """Return (host, target) as a browser would send them, for a path or a complete URL."""
    target = quote(text, safe=PRINTABLE, errors="surrogateescape")
    address = ADDRESS.fullmatch(target)
    if address is not None:
        rest = address[2]
        return address[1], rest if rest.startswith("/") else f"/{rest}"
    if not target.startswith(("/", "*")):
        raise Unclear(f"{text!r} is no path; write /{text}, or a whole address like {public_url}/{text}")
    return urlsplit(public_url).netloc, target


def session_of(settings: Settings, account: Account, demanded: TenantPolicy, now: int) -> Session:
    """Return the session that this account would have after signing in; a service account's, that of a token."""
    policy, enrolled = settings.factor_policy, account.enrolled
    standing = policy.stand(account.identifier, account.role, demanded, enrolled)
    proved = ((factor, (factor, Factor.TOTP) if factor in SECOND else ()) for factor in standing.required)
    proofs = tuple(Proof(factor, now, counts_as) for factor, counts_as in proved)
    return Session(
        id="ses_explained",
        account=account.id,
        identifier=account.identifier,
        name=account.name,
        tenant=account.tenant,
        role=account.role,
        modules=account.modules,
        is_owner=standing.is_owner,
        proofs=(Proof(API_TOKEN, now),) if account.is_service else proofs,
        started_at=now,
        seen_at=now,
        enrolled=enrolled,
        first=standing.first,
        second=standing.second,
        missing=PERSON if account.is_service else None,
        grant=Grant("tok_explained", now + DAY) if account.is_service else None,
    )


def describe_resource(resource: Resource) -> str:
    return " and ".join(resource.readings) + (", with everything below" if resource.is_deep else "")


def describe(decision: Decision, inbound: Inbound) -> str:
    match decision:
        case Forward(None):
            return "forwarded without identity"
        case Forward():
            return "forwarded with identity"
        case Page():
            return "answered by one of the gateway's own pages"
        case SignIn() if inbound.target == SERVER_ITSELF:
            return "answered by the gateway itself"
        case SignIn() if inbound.method == "OPTIONS":
            return "refused with 401"
        case SignIn():
            return "asked to sign in"
        case StepUp():
            return f"asked to prove {decision.factor}"
        case Refuse() | Outside():
            return "refused with 403"
