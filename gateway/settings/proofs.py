"""Settings of what proves who somebody is: factors, single sign-on, API tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from gateway.model.account import Role
from gateway.model.factor_policy import Second
from gateway.settings.section import Section
from gateway.settings.values import check_certificates, check_resolver, check_rp_id


class SecondSteps(Section):
    """What the second step must be, by role. Owners always need one."""

    employee: Second = Second.OPTIONAL
    manager: Second = Second.OPTIONAL
    admin: Second = Second.OPTIONAL
    owner: Literal[Second.REQUIRED, Second.PHISHING_RESISTANT] = Second.REQUIRED


class FactorSettings(Section):
    """Accounts of the roles `passwordless` may sign in with a passkey alone. Owners never do."""

    passwordless: tuple[Role, ...] = (Role.EMPLOYEE, Role.MANAGER, Role.ADMIN)
    rp_id: Annotated[str, AfterValidator(check_rp_id)] = ""
    second: SecondSteps = SecondSteps()
    attestation_roots: Annotated[str, AfterValidator(check_certificates)] = ""


class SSOSettings(Section):
    """Whether tenants may connect providers, also in private networks, and what DNS server proves their domains."""

    on: bool = False
    private_networks: bool = False
    resolver: Annotated[str, AfterValidator(check_resolver)] = ""


class TokenSettings(Section):
    """Whether people may create API tokens, and programs send them."""

    on: bool = False
