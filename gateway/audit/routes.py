"""The routes of the audit log's pages: an admin's, for their own tenant, and the owner's, for all tenants."""

from __future__ import annotations

from functools import partial

from gateway.audit.pages import AuditPages, Needs
from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route
from gateway.web.sections import Entry, Section


def audit_pages(name: str, path: str, need: Need, member: str, entry: Entry) -> Pages[Needs, AuditPages]:
    return Pages(
        partial(AuditPages, name=name, member=member, is_owners=need is Need.OWNER),
        Route(name, path, need, get=AuditPages.show, entry=entry),
        Route(f"{name}_export", f"{path}/export", need, post=AuditPages.export),
    )


PAGES = (
    audit_pages(
        "audit", "/admin/audit", Need.ADMIN, "accounts_member", Entry(Section.ADMINISTRATION, 7, Sentence("Audit log"))
    ),
    audit_pages(
        "ops_audit",
        "/ops/audit",
        Need.OWNER,
        "ops_accounts_member",
        Entry(Section.OPERATIONS, 6, Sentence("All audit logs")),
    ),
)
