"""Routes of tenant administration."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.tenants.pages import TenantPages
from gateway.tenants.sign_in_pages import SignInPages
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section

TENANTS = Pages(
    TenantPages,
    Route(
        "ops_tenants", "/ops/tenants", Need.OWNER, get=TenantPages.show, post=TenantPages.change,
        entry=Entry(Section.OPERATIONS, 3, Sentence("Tenants")),
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
SIGN_IN = Pages(
    SignInPages,
    Route(
        "admin_security", "/admin/security", Need.ADMIN, get=SignInPages.show, post=SignInPages.change,
        entry=Entry(Section.ADMINISTRATION, 4, Sentence("Sign-in requirements")),
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
PAGES = (TENANTS, SIGN_IN)
