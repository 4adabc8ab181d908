"""What an administrator brings from a provider's console, and what the page gives for it."""

from __future__ import annotations

import re

import pytest

from gateway.sso.admin_pages import read_issuer
from gateway.sso.oidc.record import Kind
from gateway.web.visit import Form
from tests.sso.journey import Employee
from tests.support.gateway import ORIGIN, Gateway
from tests.support.identity_provider import IdentityProvider

TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OWN = "https://id.acme.example/realms/staff"


@pytest.mark.parametrize(
    ("kind", "given", "issuer"),
    [
        (Kind.ENTRA, TENANT, ENTRA),
        (Kind.ENTRA, f" {TENANT.upper()} ", ENTRA),
        (Kind.ENTRA, ENTRA, ENTRA),
        (Kind.ENTRA, f"{ENTRA}/.well-known/openid-configuration", ENTRA),
        (Kind.ENTRA, f"{TENANT}/", f"{TENANT}/"),
        (Kind.KEYCLOAK, TENANT, TENANT),
        (Kind.KEYCLOAK, f"{OWN}/.well-known/openid-configuration", OWN),
        (Kind.GENERIC, "https://id.acme.example/", "https://id.acme.example/"),
    ],
)
def test_an_issuer_may_be_given_as_consoles_show_it(kind: Kind, given: str, issuer: str) -> None:
    assert read_issuer(Form({"kind": kind, "issuer": given})) == issuer


def test_each_product_has_its_steps_with_our_values_to_copy(own: Gateway, identity_provider: IdentityProvider) -> None:
    adam = Employee(own, identity_provider, "adam@acme.example")
    adam.give_password("/admin/sso")
    page = adam.open("/admin/sso").body.decode().replace("<wbr>", "")
    values = dict(re.findall(r'<span id="([\w-]+)"><code>([^<]+)</code>', page))
    assert values["callback"] == f"{ORIGIN}/login/sso/callback/acme"
    assert values["sign-out"] == f"{ORIGIN}/login/sso/logout/acme"
    steps = dict(re.findall(r'<details class="setup" data-kind="(\w+)"[^>]*>(.*?)</details>', page, re.DOTALL))
    assert steps.keys() == set(Kind)
    for kind, text in steps.items():
        copied = set(re.findall(r'data-copy="([\w-]+)"', text))
        assert copied <= values.keys(), kind
        assert "callback" in copied, kind
    for need in ("<b>Web</b>", "auth_time", "sid", "xms_edov", "App roles", "Grant admin consent", "front-channel"):
        assert need in steps["entra"], need
