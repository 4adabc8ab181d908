"""Routes of sign-in and sign-out, and the overview of a person's factors."""

from __future__ import annotations

from gateway.login.pages import LoginPages
from gateway.login.security_pages import SecurityPages
from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route
from gateway.web.sections import Entry, Section

LOGIN = Pages(
    LoginPages,
    Route(
        "login", "/login", Need.NOBODY, get=LoginPages.show, post=LoginPages.submit,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route("clear", "/login/clear", Need.SESSION, get=LoginPages.clear, is_dead_end=True),
    Route(
        "logout", "/logout", Need.LEAVING, get=LoginPages.confirm_sign_out, post=LoginPages.sign_out,
        is_dead_end=True, is_needed=True,
    ),
)  # fmt: skip
SECURITY = Pages(
    SecurityPages,
    Route(
        "security", "/me/security", Need.SESSION, get=SecurityPages.show,
        entry=Entry(Section.ACCOUNT, 1, Sentence("Security")),
    ),
)  # fmt: skip
PAGES = (LOGIN, SECURITY)
