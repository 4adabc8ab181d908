"""Reads what an ID token says of the person, once it is verified. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.sso.oidc import entra
from gateway.sso.oidc.record import Claims, Kind

MAX_NAME = 200
MAX_EMAIL = 320
MAX_TEXT = 256
MAX_LIST = 1_000


def read_claims(given: Mapping[str, object], kind: Kind, *, auth_time: int | None) -> Claims:
    """Return the claims of a checked token. Those that make no sense are left out: each could only add something."""
    email = read_email(given)
    is_entra = kind is Kind.ENTRA
    is_verified = entra.is_email_verified(given) if is_entra else given.get("email_verified") is True
    return Claims(
        issuer=read_text(given, "iss", None),
        subject=read_text(given, "sub", None),
        email=email,
        is_email_verified=bool(email) and is_verified,
        name=read_name(given),
        tenant_id=read_text(given, "tid") if is_entra else "",
        object_id=read_text(given, "oid") if is_entra else "",
        auth_time=auth_time,
        amr=read_texts(given, "amr"),
        acr=read_text(given, "acr"),
        acrs=read_texts(given, "acrs") if is_entra else (),
        groups=read_texts(given, "groups"),
        has_more_groups=is_entra and entra.has_more_groups(given),
        is_guest=is_entra and entra.is_guest(given),
        session_id=read_text(given, "sid"),
        login_hint=read_text(given, "login_hint") if is_entra else "",
        lists=read_lists(given),
    )


def read_text(given: Mapping[str, object], name: str, most: int | None = MAX_TEXT) -> str:
    value = given.get(name)
    return value if isinstance(value, str) and value.isprintable() and (most is None or len(value) <= most) else ""


def read_texts(given: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Return a list of texts. One that is not such a list is empty."""
    value = given.get(name)
    if not isinstance(value, list) or len(value) > MAX_LIST:
        return ()
    texts = [each for each in value if isinstance(each, str) and each.isprintable() and 0 < len(each) <= MAX_TEXT]
    return tuple(texts) if len(texts) == len(value) else ()


def read_lists(given: Mapping[str, object]) -> Mapping[str, tuple[str, ...]]:
    """Return every claim that is a list of texts, or one text, which some providers send in place of a list of one."""
    found = {name: read_texts(given, name) or tuple(filter(None, (read_text(given, name),))) for name in given}
    return {name: texts for name, texts in found.items() if texts}


def read_email(given: Mapping[str, object]) -> str:
    email = read_text(given, "email", MAX_EMAIL)
    return email if email.count("@") == 1 else ""


def read_name(given: Mapping[str, object]) -> str:
    name = given.get("name")
    if not isinstance(name, str):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:MAX_NAME]
