"""The options of a ceremony, as JSON for the browser: `PublicKeyCredential.parseCreationOptionsFromJSON` and
`parseRequestOptionsFromJSON` (WebAuthn L3 §5.1.9, §5.1.10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.factors.passkey.record import Descriptor, Site
from gateway.model.base64url import encode_base64url

TIMEOUT = 300_000  # milliseconds
ES256, EDDSA, RS256 = -7, -8, -257  # of COSE, as IANA registers them
ALGORITHMS = (ES256, EDDSA, RS256)


def creation_options(
    site: Site,
    *,
    handle: bytes,
    name: str,
    display_name: str,
    challenge: bytes,
    excluded: Sequence[Descriptor],
    direct_attestation: bool,
    title: str,
) -> dict[str, object]:
    """Return the options to make a passkey.

    `handle` is the user handle, 1 to 64 bytes. `name` is what password managers show beside the passkey. `title` is the
    site's. Authenticators refuse if they hold one of the `excluded`.
    """
    return {
        "rp": {"id": site.rp_id, "name": title},
        "user": {"id": encode_base64url(handle), "name": name, "displayName": display_name},
        "challenge": encode_base64url(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "timeout": TIMEOUT,
        "excludeCredentials": _describe(excluded),
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "direct" if direct_attestation else "none",
        "extensions": {"credProps": True},
    }


def request_options(
    site: Site, *, challenge: bytes, allowed: Sequence[Descriptor], needs_verification: bool
) -> dict[str, object]:
    """Return the options to use a passkey: any that the browser finds for this site, if none are `allowed`."""
    return {
        "rpId": site.rp_id,
        "challenge": encode_base64url(challenge),
        "timeout": TIMEOUT,
        "allowCredentials": _describe(allowed),
        "userVerification": "required" if needs_verification else "preferred",
    }


def _describe(descriptors: Iterable[Descriptor]) -> list[dict[str, object]]:
    return [
        {"type": "public-key", "id": encode_base64url(each.id), "transports": list(each.transports)}
        for each in descriptors
    ]
