"""The identity provider as a factor: a first proof, which stands for the password."""

from __future__ import annotations

from collections.abc import Callable

from gateway.factors.contract import FactorContract
from gateway.model.factor import Factor

SSO = Factor("sso")


class ProviderFactor(FactorContract):
    name = SSO
    page = "sso"
    counts_as = (SSO, Factor.PASSWORD)

    def __init__(self, *, is_on: bool) -> None:
        self.first_template = "sso/first.html" if is_on else ""

    @staticmethod
    def label(_: Callable[[str], str]) -> str:
        return _("single sign-on")
