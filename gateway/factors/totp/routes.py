"""Routes of TOTP."""

from __future__ import annotations

from gateway.factors.totp.pages import Needs, TOTPPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route

PAGES = Pages[Needs, TOTPPages](
    TOTPPages,
    Route(
        "totp", "/login/totp", Need.NOBODY, get=TOTPPages.show, post=TOTPPages.submit,
        refuses_blocked=True, is_dead_end=True, is_needed=True,
    ),
    Route(
        "security_totp", "/me/security/totp", Need.SESSION, get=TOTPPages.show_set_up, post=TOTPPages.set_up,
        fresh=Fresh(carry=("next",)),
    ),
    Route(
        "security_off", "/me/security/off", Need.SESSION,
        get=TOTPPages.confirm_off, post=TOTPPages.turn_off, fresh=Fresh(),
    ),
)  # fmt: skip
