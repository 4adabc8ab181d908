"""Routes of passkeys."""

from __future__ import annotations

from gateway.factors.passkey.addresses import has_related_hosts
from gateway.factors.passkey.pages import Needs, PasskeyPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

PAGES = Pages[Needs, PasskeyPages](
    PasskeyPages,
    Route(
        "passkey", "/login/passkey", Need.NOBODY, get=PasskeyPages.show, post=PasskeyPages.submit,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "passkey_options", "/login/passkey/options", Need.NOBODY, post=PasskeyPages.options,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "passkey_first", "/login/passkey/first", Need.NOBODY, post=PasskeyPages.sign_in,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "passkey_first_options", "/login/passkey/first-options", Need.NOBODY, post=PasskeyPages.first_options,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "passkeys", "/me/security/passkeys", Need.SESSION,
        get=PasskeyPages.show_all, post=PasskeyPages.add, fresh=Fresh(carry=("next",)),
    ),
    Route(
        "passkeys_options", "/me/security/passkeys/options", Need.SESSION, post=PasskeyPages.creation_options,
        fresh=Fresh(back="passkeys"),
    ),
    Route(
        "passkeys_only", "/me/security/passkeys-only", Need.SESSION,
        get=PasskeyPages.show_only, post=PasskeyPages.choose_only, fresh=Fresh(),
    ),
    Route(
        "passkey_change", "/me/security/passkey", Need.SESSION,
        get=PasskeyPages.show_one, post=PasskeyPages.change, fresh=Fresh(carry=("id",)),
    ),
    Route(
        "related_origins", "/.well-known/webauthn", Need.NOBODY, get=PasskeyPages.related_origins,
        is_dead_end=True, is_served=has_related_hosts,
    ),
)  # fmt: skip
