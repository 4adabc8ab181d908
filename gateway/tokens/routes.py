"""Routes of API tokens."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.model.session import Session
from gateway.policy.decision import Need
from gateway.settings.record import Settings
from gateway.tokens.pages import FIELDS, FoundTokens, TokenPages
from gateway.tokens.service_pages import ServicePages, TenantTokens, gives_rights
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section


def is_on(settings: Settings) -> bool:
    return settings.tokens.on


def may_have_tokens(session: Session) -> bool:
    """Platform owners can't have any."""
    return not session.is_owner


TOKENS = Pages(
    TokenPages,
    Route(
        "tokens", "/me/tokens", Need.SESSION, get=TokenPages.show, post=TokenPages.create,
        entry=Entry(Section.ACCOUNT, 3, Sentence("API tokens"), may_have_tokens),
        fresh=Fresh(only_post=True, form=FIELDS, is_announced=True), is_served=is_on,
    ),
    Route("tokens_revoke", "/me/tokens/revoke", Need.SESSION, post=TokenPages.revoke, is_served=is_on),
)  # fmt: skip
TENANT = Pages(
    TenantTokens,
    Route(
        "admin_tokens", "/admin/tokens", Need.ADMIN, get=TenantTokens.show_all, post=TenantTokens.revoke,
        entry=Entry(Section.ADMINISTRATION, 3, Sentence("API tokens")), is_served=is_on,
    ),
)  # fmt: skip
SERVICES = Pages(
    ServicePages,
    Route(
        "admin_service", "/admin/tokens/service", Need.ADMIN, get=ServicePages.show, post=ServicePages.change,
        fresh=Fresh(only_post=True, when=gives_rights, carry=("account",), form=FIELDS, is_announced=True),
        is_served=is_on,
    ),
)  # fmt: skip
FOUND = Pages(
    FoundTokens,
    Route(
        "token_found", "/_gateway/tokens/revoke", Need.NOBODY, post=FoundTokens.revoke,
        takes_foreign=True, refuses_blocked=True, is_dead_end=True, is_served=is_on,
    ),
)  # fmt: skip
PAGES = (TOKENS, TENANT, SERVICES, FOUND)
