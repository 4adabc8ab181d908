"""Routes of pages that set a password."""

from __future__ import annotations

from gateway.model.factor import Factor
from gateway.passwords.pages import PasswordPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

PASSWORDS = Pages(
    PasswordPages,
    Route(
        "forgot", "/forgot-password", Need.NOBODY, get=PasswordPages.show_forgot, post=PasswordPages.ask,
        refuses_blocked=True, needs_mail="password",
    ),
    Route(
        "reset", "/reset-password/{token}", Need.NOBODY, get=PasswordPages.show_reset, post=PasswordPages.reset,
        refuses_blocked=True,
    ),
    Route(
        "invite", "/invite/{token}", Need.NOBODY, get=PasswordPages.show_invite, post=PasswordPages.accept,
        refuses_blocked=True,
    ),
    Route(
        "password", "/me/password", Need.SESSION, get=PasswordPages.show_change, post=PasswordPages.change,
        below="security",
        fresh=Fresh(factors=(Factor.TOTP,), carry=("secured",)),  # the form itself asks for the password
    ),
    Route("password_hint", "/_gateway/password-hint", Need.NOBODY, post=PasswordPages.hint, is_dead_end=True),
    Route("change_password", "/.well-known/change-password", Need.NOBODY, get=PasswordPages.well_known),
    Route(
        "not_there", "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", Need.NOBODY,
        get=PasswordPages.not_there,
    ),
)  # fmt: skip
PAGES = (PASSWORDS,)
