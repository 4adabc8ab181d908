"""Routes of the sign-in link."""

from __future__ import annotations

from gateway.factors.magic_link.pages import LinkPages
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route

PAGES = Pages(
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
