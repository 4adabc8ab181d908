"""Registers single sign-on: a first proof, given by a tenant's identity provider."""

from __future__ import annotations

from typing import Protocol

from gateway.factors.contract import Folder
from gateway.settings.record import Settings
from gateway.sso.checking import inspect
from gateway.sso.domains import rows as domain_rows
from gateway.sso.factor import ProviderFactor
from gateway.sso.routes import PAGES
from gateway.sso.rows import STORED


class Needs(Protocol):
    @property
    def settings(self) -> Settings: ...


def build(needs: Needs) -> ProviderFactor:
    return ProviderFactor(is_on=needs.settings.sso.on)


FACTOR = Folder(ProviderFactor, build, PAGES, (*STORED, *domain_rows.STORED), inspect=inspect)
