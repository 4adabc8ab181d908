"""The routes of the audit log's pages: an admin's, for their own tenant, and the owner's, for all tenants."""

from __future__ import annotations

from functools import partial

from gateway.audit.pages import AuditPages, Needs
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route


def audit_pages(name: str, path: str, need: Need) -> Pages[Needs, AuditPages]:
    return Pages(
        partial(AuditPages, name=name, is_owners=need is Need.OWNER),
        Route(name, path, need, get=AuditPages.show),
        Route(f"{name}_export", f"{path}/export", need, post=AuditPages.export),
    )


PAGES = (
    audit_pages("audit", "/admin/audit", Need.ADMIN),
    audit_pages("ops_audit", "/ops/audit", Need.OWNER),
)
