"""Routes of network rules."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.networks.pages import MemberNetworks, OwnNetworks, TenantNetworks
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section

OWN = Pages(
    OwnNetworks,
    Route(
        "networks", "/me/networks", Need.SESSION, get=OwnNetworks.show, post=OwnNetworks.change,
        entry=Entry(Section.ACCOUNT, 4, Sentence("Allowed networks")),
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
TENANT = Pages(
    TenantNetworks,
    Route(
        "admin_networks", "/admin/networks", Need.ADMIN, get=TenantNetworks.show, post=TenantNetworks.change,
        entry=Entry(Section.ADMINISTRATION, 5, Sentence("Allowed networks")),
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
MEMBER = Pages(
    MemberNetworks,
    Route(
        "admin_networks_member", "/admin/networks/member", Need.ADMIN,
        get=MemberNetworks.show, post=MemberNetworks.change, below="accounts",
        fresh=Fresh(only_post=True, carry=("account",), is_announced=True),
    ),
)  # fmt: skip
PAGES = (OWN, TENANT, MEMBER)
