"""Routes of single sign-on."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.settings.record import Settings
from gateway.sso.admin_pages import Needs as AdminNeeds
from gateway.sso.admin_pages import ProviderPages
from gateway.sso.connection import ConnectionPages
from gateway.sso.connection import Needs as ConnectionNeeds
from gateway.sso.domains.pages import DomainPages
from gateway.sso.keys.pages import Needs as KeyNeeds
from gateway.sso.keys.pages import PublicKeyPages, SigningKeyPages
from gateway.sso.leaving_pages import LeavingPages
from gateway.sso.leaving_pages import Needs as LeavingNeeds
from gateway.sso.ops_pages import OversightPages
from gateway.sso.pages import Needs, SSOPages
from gateway.sso.required_pages import Needs as RequiredNeeds
from gateway.sso.required_pages import RequiredPages
from gateway.sso.roles.pages import Needs as RoleNeeds
from gateway.sso.roles.pages import RolePages
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section


def is_on(settings: Settings) -> bool:
    return settings.sso.on


SIGN_ON = Pages[Needs, SSOPages](
    SSOPages,
    Route(
        "sso", "/login/sso", Need.NOBODY, get=SSOPages.show, post=SSOPages.submit,
        refuses_blocked=True, is_dead_end=True, is_served=is_on,
    ),
    Route(
        "sso_callback", "/login/sso/callback/{tenant}", Need.NOBODY, get=SSOPages.callback,
        refuses_blocked=True, is_dead_end=True, is_served=is_on,
    ),
    Route(
        "sso_link", "/login/sso/link/{token}", Need.NOBODY, get=SSOPages.open, post=SSOPages.confirm,
        refuses_blocked=True, is_dead_end=True, is_served=is_on,
    ),
    Route(
        "sso_tenant", "/login/sso/{tenant}", Need.NOBODY, get=SSOPages.direct,
        refuses_blocked=True, is_dead_end=True, is_served=is_on,
    ),
)  # fmt: skip
LEAVING = Pages[LeavingNeeds, LeavingPages](
    LeavingPages,
    Route(
        "sso_logout", "/login/sso/logout/{tenant}", Need.NOBODY,
        get=LeavingPages.take_frame, post=LeavingPages.take_token,
        takes_foreign=True, is_dead_end=True, is_served=is_on,
    ),
    Route(
        "sso_left", "/login/sso/left/{token}", Need.NOBODY, get=LeavingPages.show, is_dead_end=True, is_served=is_on
    ),
)  # fmt: skip
ADMIN = Pages[AdminNeeds, ProviderPages](
    ProviderPages,
    Route(
        "admin_sso", "/admin/sso", Need.ADMIN, get=ProviderPages.show, post=ProviderPages.change,
        entry=Entry(Section.ADMINISTRATION, 6, Sentence("Single sign-on")),
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
REQUIRED = Pages[RequiredNeeds, RequiredPages](
    RequiredPages,
    Route(
        "admin_sso_required", "/admin/sso/required", Need.ADMIN, get=RequiredPages.show, post=RequiredPages.change,
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
DOMAINS = Pages(
    DomainPages,
    Route(
        "admin_sso_domains", "/admin/sso/domains", Need.ADMIN, get=DomainPages.show, post=DomainPages.change,
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
CONNECTION = Pages[ConnectionNeeds, ConnectionPages](
    ConnectionPages,
    Route(
        "security_sso", "/me/security/sso", Need.SESSION, get=ConnectionPages.show, post=ConnectionPages.disconnect,
        fresh=Fresh(), is_served=is_on,
    ),
)  # fmt: skip
OVERSIGHT = Pages(
    OversightPages,
    Route(
        "ops_sso", "/ops/sso", Need.OWNER, get=OversightPages.show, post=OversightPages.change,
        entry=Entry(Section.OPERATIONS, 4, Sentence("Single sign-on")),
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
ROLES = Pages[RoleNeeds, RolePages](
    RolePages,
    Route(
        "admin_sso_roles", "/admin/sso/roles", Need.ADMIN, get=RolePages.show, post=RolePages.change,
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
)  # fmt: skip
KEYS = Pages[KeyNeeds, SigningKeyPages](
    SigningKeyPages,
    Route(
        "admin_sso_key", "/admin/sso/key", Need.ADMIN, get=SigningKeyPages.show, post=SigningKeyPages.change,
        fresh=Fresh(only_post=True, is_announced=True), is_served=is_on,
    ),
    Route(
        "admin_sso_certificate", "/admin/sso/certificate/{key}", Need.ADMIN, get=SigningKeyPages.certificate,
        is_served=is_on,
    ),
)  # fmt: skip
PUBLIC_KEYS = Pages[KeyNeeds, PublicKeyPages](
    PublicKeyPages,
    Route(
        "sso_jwks", "/login/sso/jwks/{tenant}", Need.NOBODY, get=PublicKeyPages.show,
        is_dead_end=True, is_served=is_on,
    ),
)  # fmt: skip
PAGES = (SIGN_ON, LEAVING, ADMIN, DOMAINS, ROLES, REQUIRED, CONNECTION, OVERSIGHT, KEYS, PUBLIC_KEYS)
