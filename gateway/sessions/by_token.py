"""Finds the session of an API token: the question, and what its answer means.

A token is no more than its account at this moment: lookups forget it when that changes, as they do with sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import Any

from gateway.model.account import Role, Unacceptable, normalise_identifier, read_modules
from gateway.model.api_token import PERSON, Grant, read_networks
from gateway.model.factor import API_TOKEN, Proof
from gateway.model.factor_policy import FactorPolicy
from gateway.model.page_view import Views
from gateway.model.session import Session

# The braces take the placeholder of each engine.
BY_DIGEST = """
SELECT k.id, a.id, a.identifier, a.name, a.tenant, a.role, a.modules, k.role, k.methods, k.paths, k.networks,
       k.created_at, k.expires_at, t.networks, a.networks, t.page_views_since IS NOT NULL
  FROM api_tokens k JOIN accounts a ON a.id = k.account JOIN tenants t ON t.slug = a.tenant
 WHERE k.digest = {} AND k.revoked_at IS NULL AND a.status = 'active' AND t.status = 'active'
"""
RANKS = tuple(Role)


def read_token(row: Iterable[Any], user: str | None, policy: FactorPolicy) -> Session | None:
    """Return the session of a token. None if it came with another user name than its account's email, or if that has
    become an owner's.
    """
    token, account, identifier, name, tenant, held, modules, role, methods, paths, networks, *more = row
    created_at, until, of_tenant, of_account, records_views = more
    if identifier in policy.owners or (user is not None and not is_name_of(user, identifier)):
        return None
    return Session(
        id=token,
        account=account,
        identifier=identifier,
        name=name,
        tenant=intern(tenant),  # one text for all of them
        role=min(Role(role), Role(held), key=RANKS.index),
        modules=read_modules(modules),
        is_owner=False,
        proofs=(Proof(API_TOKEN, created_at),),
        started_at=created_at,
        seen_at=created_at,
        missing=PERSON,
        views=Views(account, token, tenant) if records_views else None,
        grant=Grant(token, until, frozenset(methods.split()), tuple(paths.split()), read_networks(networks)),
        networks=policy.networks_of(identifier, Role(held), of_tenant, of_account),
        alive_until=until,
    )


def is_name_of(user: str, identifier: str) -> bool:
    try:
        return normalise_identifier(user) == identifier
    except Unacceptable:
        return False
