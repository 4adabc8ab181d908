"""Tells the page after signing out at which provider the person may sign out too.

It is in the page's address, sealed: by then, nothing in the browser says who was signed in.
"""

from __future__ import annotations

import json

from gateway.crypto.sealing import Place, Sealer, Unopenable
from gateway.model.base64url import decode_base64url, encode_base64url
from gateway.sso.oidc.record import Kind, Metadata, Provider
from gateway.sso.oidc.request import with_query
from gateway.sso.origins import Origin

LIFE_SECONDS = 600
MAX_TOKEN = 2_000  # characters
NEED_ID_TOKEN = frozenset((Kind.OKTA,))
PLACE = Place("sso_sessions", "hint", "after signing out")


def seal(sealer: Sealer, origin: Origin, now: int) -> str:
    content = json.dumps([now, origin.provider, origin.hint])
    return encode_base64url(sealer.seal(content.encode(), PLACE))


def unseal(sealer: Sealer, token: str, now: int) -> Origin | None:
    """Return what was sealed; None if that was not by us, or is over."""
    sealed = decode_base64url(token) if len(token) <= MAX_TOKEN and token.isascii() else None
    if sealed is None:
        return None
    try:
        at, provider, hint = json.loads(sealer.open(sealed, PLACE))
    except Unopenable:
        return None
    return Origin(provider, hint) if now - LIFE_SECONDS < at <= now + LIFE_SECONDS else None


def sign_out_url(provider: Provider, metadata: Metadata, hint: str, back: str) -> str:
    """Return where somebody signs out at the provider (OpenID Connect RP-Initiated Logout 1.0 §2), "" if nowhere.

    No ID token is kept for it. A provider that insists on one is not asked, because its page would only show an error.
    """
    if not metadata.end_session_endpoint or provider.kind in NEED_ID_TOKEN:
        return ""
    parameters = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
    return with_query(metadata.end_session_endpoint, parameters | ({"logout_hint": hint} if hint else {}))
