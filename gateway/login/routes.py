"""Where people sign in and out, and what they change about their factors."""

from __future__ import annotations

from gateway.login.code_pages import CodePages
from gateway.login.link_pages import LinkPages
from gateway.login.pages import LoginPages
from gateway.login.security_pages import SecurityPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

LOGIN = Pages(
    LoginPages,
    Route(
        "login", "/login", Need.NOBODY, get=LoginPages.show, post=LoginPages.submit,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route("clear", "/login/clear", Need.SESSION, get=LoginPages.clear, is_dead_end=True),
    Route(
        "logout", "/logout", Need.NOBODY, get=LoginPages.confirm_sign_out, post=LoginPages.sign_out,
        is_dead_end=True, is_needed=True,
    ),
)  # fmt: skip
CODES = Pages(
    CodePages,
    Route(
        "totp", "/login/totp", Need.NOBODY, get=CodePages.show_totp, post=CodePages.submit_totp,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "backup", "/login/backup", Need.NOBODY, get=CodePages.show_backup, post=CodePages.submit_backup,
        refuses_blocked=True, is_dead_end=True,
    ),
)  # fmt: skip
LINKS = Pages(
    LinkPages,
    Route(
        "link", "/login/link", Need.NOBODY, get=LinkPages.show, post=LinkPages.submit,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "link_opened", "/login/link/{token}", Need.NOBODY, get=LinkPages.open, post=LinkPages.complete,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
)  # fmt: skip
SECURITY = Pages(
    SecurityPages,
    Route("security", "/me/security", Need.SESSION, get=SecurityPages.show),
    Route(
        "security_totp", "/me/security/totp", Need.SESSION, get=SecurityPages.show_totp, post=SecurityPages.submit_totp,
        fresh=Fresh(carry=("next",)),
    ),
    Route(
        "security_codes", "/me/security/codes", Need.SESSION,
        get=SecurityPages.confirm_codes, post=SecurityPages.regenerate, fresh=Fresh(),
    ),
    Route(
        "security_off", "/me/security/off", Need.SESSION,
        get=SecurityPages.confirm_off, post=SecurityPages.turn_off, fresh=Fresh(),
    ),
)  # fmt: skip
PAGES = (LOGIN, CODES, LINKS, SECURITY)
