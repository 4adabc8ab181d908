"""What is particular to Microsoft Entra ID. Pure.

All of its tenants sign with the same keys: only the issuer, which has the tenant's id in its path, and `tid` tell them
apart. See "Secure applications by validating claims" in Microsoft's documentation of its identity platform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PATTERN = "{tenantid}"
SHARED = ("common", "organizations", "consumers")
HOSTS = ("login.microsoftonline.com", "sts.windows.net")
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal Microsoft accounts, which anybody can open."""


def tenant_of(issuer: str) -> str:
    """Return the tenant's id in an issuer, or "" if it has none."""
    return next((part for part in issuer.split("/") if GUID.fullmatch(part)), "")


def issuer_of(tenant: str) -> str:
    """Return the issuer of a tenant's id, in Microsoft's public cloud."""
    return f"https://{HOSTS[0]}/{tenant}/v2.0"


def is_pattern(issuer: str) -> bool:
    """Whether an issuer stands for those of all tenants, or is where their common endpoints are."""
    if "{" in issuer:
        return True
    try:
        parts = urlsplit(issuer)
    except ValueError:
        return False
    return parts.hostname in HOSTS and parts.path.strip("/").partition("/")[0] in SHARED


def is_personal(issuer: str) -> bool:
    return tenant_of(issuer) == PERSONAL


def is_key_of(key_issuer: str, issuer: str) -> bool:
    """Whether a key, which names the issuer that it is for, may sign for ours."""
    return key_issuer.replace(PATTERN, tenant_of(issuer) or PATTERN) == issuer


def is_guest(claims: Mapping[str, object]) -> bool:
    """Whether the person is at home in another directory, which vouches for them."""
    home, tenant = claims.get("idp"), str(claims.get("tid"))
    is_from_elsewhere = home is not None and not (isinstance(home, str) and tenant in home.split("/"))
    return is_from_elsewhere or claims.get("acct") in (1, "1")


def is_email_verified(claims: Mapping[str, object]) -> bool:
    """Whether the tenant has proved the domain of the email, which anybody may have typed otherwise.

    That is the optional claim `xms_edov`. It is written in several ways.
    """
    return claims.get("xms_edov") in (True, "1", "true") and not is_guest(claims)


def has_more_groups(claims: Mapping[str, object]) -> bool:
    """Whether the person is in too many groups for a token, which then says where to ask for them."""
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and "groups" in elsewhere)
