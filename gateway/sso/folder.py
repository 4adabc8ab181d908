"""Registers single sign-on: a first proof, given by a tenant's identity provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Done, Folder
from gateway.model.sentence import Sentence
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.sso import origins, waits
from gateway.sso.checking import inspect
from gateway.sso.domains import rows as domain_rows
from gateway.sso.factor import ProviderFactor
from gateway.sso.keys import rows as key_rows
from gateway.sso.roles import rows as role_rows
from gateway.sso.routes import PAGES
from gateway.sso.rows import STORED
from gateway.web.routes import Urls


class Needs(Protocol):
    @property
    def sealer(self) -> Sealer: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def url(self) -> Urls: ...


def build(needs: Needs) -> ProviderFactor:
    return ProviderFactor(needs.sealer, needs.url("sso_left", token=""), is_on=needs.settings.sso.on)


def advise(settings: Settings) -> Iterator[Said]:
    """Yield warnings about the settings: each key, and what is likely wrong with it."""
    if settings.sso.on and settings.sso.private_networks:
        reason = "tenants' administrators can have the gateway ask addresses in your network"
        yield "sso.private_networks", f"{reason}; turn it off unless a provider is there"


TABLES = (
    *STORED,
    *waits.STORED,
    *origins.STORED,
    *domain_rows.STORED,
    *role_rows.STORED,
    *key_rows.STORED,
)
DISCONNECTED = Sentence("Disconnected. Sign in with your password from now on. We’ve sent you an email to confirm.")
FACTOR = Folder(
    ProviderFactor,
    build,
    PAGES,
    TABLES,
    inspect=inspect,
    advise=advise,
    done={"disconnected": Done((DISCONNECTED,))},
)
