"""Every noun that has pages: one line for each. The table of all routes, which is read without making an object."""

from __future__ import annotations

from typing import Any

from gateway.accounts import routes as accounts
from gateway.app.factors import FACTORS
from gateway.audit import routes as audit
from gateway.devices import routes as devices
from gateway.dispatch import routes as dispatch
from gateway.login import routes as login
from gateway.ops import routes as ops
from gateway.passwords import routes as passwords
from gateway.signup import routes as signup
from gateway.tenants import routes as tenants
from gateway.web import static_files
from gateway.web.routes import Pages, Route

FACTOR_PAGES: tuple[Pages[Any, Any], ...] = tuple(pages for part in FACTORS for pages in part.pages)
PAGES = (
    *login.PAGES,
    *dispatch.PAGES,
    *passwords.PAGES,
    *signup.PAGES,
    *accounts.PAGES,
    *devices.PAGES,
    *ops.PAGES,
    *audit.PAGES,
    *tenants.PAGES,
    *static_files.PAGES,
)
ALL: tuple[Pages[Any, Any], ...] = (*FACTOR_PAGES, *PAGES)
ROUTES: tuple[Route[Any], ...] = tuple(route for pages in ALL for route in pages.routes)
