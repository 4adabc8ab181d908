"""Routes of provisioning: those of programs, and the administrators' page."""

from __future__ import annotations

from gateway.policy.decision import Need
from gateway.scim.admin_pages import Needs as AdminNeeds
from gateway.scim.admin_pages import ProvisioningPages
from gateway.scim.answers import tell_failure
from gateway.scim.pages import MachinePages, Needs
from gateway.sso.routes import is_on
from gateway.web.routes import Fresh, Machine, PageHandler, Pages, Route

BASE = "/_gateway/scim/v2"


def machine(name: str, path: str, handler: PageHandler[MachinePages]) -> Route[MachinePages]:
    return Route(
        name, f"{BASE}{path}", Need.NOBODY, machine=Machine(handler, tell_failure), is_dead_end=True, is_served=is_on
    )


MACHINES = Pages[Needs, MachinePages](
    MachinePages,
    machine("scim_users", "/Users", MachinePages.users),
    machine("scim_user", "/Users/{id}", MachinePages.user),
    machine("scim_groups", "/Groups", MachinePages.groups),
    machine("scim_group", "/Groups/{id}", MachinePages.group),
    machine("scim_schema", "/Schemas/{id}", MachinePages.document),
    machine("scim_resource_type", "/ResourceTypes/{id}", MachinePages.document),
    machine("scim", "/{endpoint}", MachinePages.other),
)
ADMIN = Pages[AdminNeeds, ProvisioningPages](
    ProvisioningPages,
    Route(
        "admin_sso_provisioning", "/admin/sso/provisioning", Need.ADMIN, get=ProvisioningPages.show,
        post=ProvisioningPages.change, fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
PAGES = (MACHINES, ADMIN)
