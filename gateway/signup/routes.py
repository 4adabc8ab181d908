"""Routes of sign-up. If it is off, these paths belong to the application, which may have its own sign-up."""

from __future__ import annotations

from gateway.policy.decision import Need
from gateway.settings.record import Settings
from gateway.signup.pages import SignupPages
from gateway.web.routes import Pages, Route


def has_signup(settings: Settings) -> bool:
    return settings.signup.mode != "off"


SIGNUP = Pages(
    SignupPages,
    Route(
        "signup", "/signup", Need.NOBODY, get=SignupPages.show, post=SignupPages.submit,
        refuses_blocked=True, needs_mail="signup", is_served=has_signup,
    ),
    Route(
        "signup_confirm", "/signup/{token}", Need.NOBODY, get=SignupPages.show_confirm, post=SignupPages.confirm,
        is_served=has_signup,
    ),
)  # fmt: skip
PAGES = (SIGNUP,)
