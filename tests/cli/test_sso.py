"""`otium-gateway sso …`, while nothing runs: what it says, what it changes, how it fails."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.gateway import Gateway

ISSUER = "https://id.acme.example/realms/staff"
SECRET = "a client secret that nobody sees"
NEW = ("sso", "set", "acme", "--issuer", ISSUER, "--client-id", "gateway", "--kind", "keycloak", "--secret-stdin")
TRIED = "UPDATE identity_providers SET tried_at = 1800000000"
REQUIRED = "UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'"


@pytest.fixture
def shell(tmp_path: Path) -> Gateway:
    """A store with people; nothing runs, and single sign-on is on."""
    return Gateway(tmp_path, "127.0.0.1:1", changes={"SSO__ON": "true"}).seed()


@pytest.fixture
def connected(shell: Gateway) -> Gateway:
    assert done(shell, *NEW, stdin=f"{SECRET}\n")
    return shell


def done(shell: Gateway, *arguments: str, stdin: str = "") -> str:
    result = shell.cli(*arguments, stdin=stdin)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert SECRET not in result.stdout
    return result.stdout


def failed(shell: Gateway, *arguments: str, stdin: str = "") -> str:
    result = shell.cli(*arguments, stdin=stdin)
    assert result.returncode != 0
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert result.stderr.startswith("otium-gateway: ")
    return result.stderr


def shown(shell: Gateway, tenant: str = "acme") -> dict[str, object]:
    found: dict[str, object] = json.loads(done(shell, "sso", "show", tenant, "--json"))
    return found


def events(shell: Gateway) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(shell.store_url.removeprefix("sqlite:///"))) as connection:
        query = (
            "SELECT event, tenant, request_id FROM audit WHERE event LIKE 'sso_%' OR event LIKE 'domain_%' ORDER BY id"
        )
        return connection.execute(query).fetchall()


def mails(shell: Gateway) -> list[str]:
    return [row[0] for row in shell.write("SELECT recipient FROM outbox ORDER BY recipient")]


def test_a_provider_is_connected_tried_turned_on_and_off_and_removed(shell: Gateway) -> None:
    assert done(shell, "sso", "list") == "none\n"
    assert done(shell, "sso", "list", "--json") == "[]\n"
    said = done(shell, *NEW, stdin=f"{SECRET}\n")
    assert said.startswith("acme's identity provider is saved; an administrator of acme tries it out at /admin/sso")
    assert shown(shell) == {
        "tenant": "acme", "state": "off", "kind": "keycloak", "issuer": ISSUER, "people": 0, "tried": "never",
        "domains": "", "client_id": "gateway", "creates_accounts": "no", "counts_for_two": "no",
        "client_proof": "secret",
    }  # fmt: skip
    assert "tried out first" in failed(shell, "sso", "on", "acme")
    shell.write(TRIED)
    assert "otium-gateway sso domain add" in failed(shell, "sso", "on", "acme")
    assert done(shell, "sso", "domain", "add", "acme", "Acme.Example") == "acme.example is acme's\n"
    assert done(shell, "sso", "on", "acme") == "single sign-on of acme is on\n"
    (row,) = json.loads(done(shell, "sso", "list", "--json"))
    assert (row["state"], row["domains"], row["tried"]) == ("on", "acme.example", "2027-01-15 08:00:00Z")
    assert "keycloak" in done(shell, "sso", "list")

    said = done(shell, "sso", "off", "acme")
    assert said.startswith("would turn off single sign-on of acme; 0 people connected to it would need a password\n")
    assert shown(shell)["state"] == "on"
    assert done(shell, "sso", "off", "acme", "--confirm") == "single sign-on of acme is off\n"
    assert "off already" in failed(shell, "sso", "off", "acme", "--confirm")
    assert mails(shell) == ["adam@acme.example"]

    assert "nothing changed" in done(shell, "sso", "remove", "acme")
    assert done(shell, "sso", "remove", "acme", "--confirm") == "the identity provider of acme is removed\n"
    assert done(shell, "sso", "list") == "none\n"
    assert "nothing changed" in done(shell, "sso", "domain", "remove", "acme", "acme.example")
    released = done(shell, "sso", "domain", "remove", "acme", "acme.example", "--confirm")
    assert released == "acme.example is nobody's\n"
    names = ("sso_changed", "domain_claimed", "sso_enabled", "sso_disabled", "sso_removed", "domain_released")
    assert events(shell) == [(name, "acme", "cli") for name in names]


def test_what_is_not_given_stays_as_it_is(connected: Gateway, tmp_path: Path) -> None:
    connected.write(TRIED)
    done(connected, "sso", "domain", "add", "acme", "acme.example")
    done(connected, "sso", "on", "acme")
    sealed = connected.write("SELECT client_secret FROM identity_providers")
    assert done(connected, "sso", "set", "acme", "--creates-accounts") == "acme's identity provider is saved\n"
    (tmp_path / "secret").write_text(" another secret\n")
    done(connected, "sso", "set", "acme", "--secret-file", str(tmp_path / "secret"))
    assert connected.write("SELECT client_secret FROM identity_providers") != sealed
    found = shown(connected)
    assert (found["state"], found["creates_accounts"], found["kind"]) == ("on", "yes", "keycloak")
    given = ("sso", "set", "acme", "--client-id", "another")
    assert "--secret-stdin" in failed(connected, *given)  # the stored one was made for the other client
    said = done(connected, *given, "--secret-stdin", stdin="a third secret\n")
    assert "before it is turned on" in said
    found = shown(connected)
    assert (found["state"], found["tried"], found["creates_accounts"]) == ("off", "never", "yes")


def test_a_provider_is_connected_with_a_signature_and_goes_back_to_a_secret(shell: Gateway) -> None:
    done(shell, *(each for each in NEW if each != "--secret-stdin"), "--signature")
    assert shown(shell)["client_proof"] == "signature"
    assert shell.write("SELECT state, algorithm FROM sso_keys") == [("current", "ES256")]
    assert "--secret-stdin" in failed(shell, "sso", "set", "acme", "--no-signature")
    done(shell, "sso", "set", "acme", "--no-signature", "--secret-stdin", stdin=f"{SECRET}\n")
    assert shown(shell)["client_proof"] == "secret"


def test_a_certificate_that_expires_soon_is_advice(shell: Gateway) -> None:
    entra = ("--issuer", "https://login.microsoftonline.com/3f2504e0-4f89-41d3-9a0c-0305e82c3301/v2.0")
    done(shell, "sso", "set", "acme", *entra, "--kind", "entra", "--client-id", "gateway", "--signature")
    shell.write("UPDATE identity_providers SET is_enabled = :yes", yes=True)
    assert "the certificate" not in shell.cli("check-config").stdout
    shell.write("UPDATE sso_keys SET made_at = made_at - 700 * 86400")
    assert (
        "advice: the certificate with which the gateway signs for acme's provider" in shell.cli("check-config").stdout
    )


def test_a_provider_that_is_on_has_to_know_the_key_before_it_is_used(connected: Gateway) -> None:
    connected.write("UPDATE identity_providers SET is_enabled = :yes, tried_at = 1800000000", yes=True)
    assert "/admin/sso/key" in failed(connected, "sso", "set", "acme", "--signature")
    assert shown(connected)["client_proof"] == "secret"


def test_provisioning_tokens_are_listed_and_revoked(shell: Gateway) -> None:
    shell.write(
        "INSERT INTO scim_tokens (id, tenant, key, hint, created_at, created_by, expires_at)"
        " VALUES ('sct_1', 'acme', :key, 'otw_scim_abcd', 1, 'adam@acme.example', 4000000000)",
        key=b"k" * 32,
    )
    assert done(shell, "sso", "provisioning", "list", "beta", "--json") == "[]\n"
    (row,) = json.loads(done(shell, "sso", "provisioning", "list", "acme", "--json"))
    assert (row["id"], row["begins"], row["state"], row["last_used"]) == ("sct_1", "otw_scim_abcd", "valid", "never")
    assert done(shell, "sso", "provisioning", "revoke", "sct_1") == "sct_1 of acme is revoked\n"
    assert "there is no provisioning token sct_1" in failed(shell, "sso", "provisioning", "revoke", "sct_1")
    assert shell.write("SELECT event, tenant FROM audit WHERE event LIKE 'scim_%'") == [("scim_token_revoked", "acme")]
    assert mails(shell) == ["adam@acme.example"]


def test_off_ends_a_demand_as_well_and_optional_ends_it_alone(connected: Gateway) -> None:
    connected.write(TRIED)
    done(connected, "sso", "domain", "add", "acme", "acme.example")
    for command, said, state in (
        ("optional", "acme no longer requires single sign-on\n", "on"),
        ("off", "single sign-on of acme is off\n", "off"),
    ):
        done(connected, "sso", "on", "acme")
        connected.write(REQUIRED)
        assert shown(connected)["state"] == "required"
        assert "nothing changed" in done(connected, "sso", command, "acme")
        assert shown(connected)["state"] == "required"
        assert done(connected, "sso", command, "acme", "--confirm") == said
        assert shown(connected)["state"] == state
        assert connected.write("SELECT factor_policy FROM tenants WHERE slug = 'acme'") == [("",)]
    assert [name for name, *_ in events(connected)][-3:] == ["sso_optional", "sso_optional", "sso_disabled"]


def test_a_demand_of_a_suspended_tenant_ends_too(connected: Gateway) -> None:
    """Reactivated, its people would be locked out otherwise."""
    connected.write(TRIED)
    done(connected, "sso", "domain", "add", "acme", "acme.example")
    done(connected, "sso", "on", "acme")
    connected.write(REQUIRED)
    connected.write("UPDATE tenants SET status = 'suspended' WHERE slug = 'acme'")
    done(connected, "sso", "off", "acme", "--confirm")
    assert connected.write("SELECT factor_policy FROM tenants WHERE slug = 'acme'") == [("",)]


def test_a_demand_ends_when_the_settings_turn_single_sign_on_off(tmp_path: Path) -> None:
    """`serve` refuses to start then, and says this command."""
    shell = Gateway(tmp_path, "127.0.0.1:1").seed()
    shell.write(REQUIRED)
    assert "sso optional acme" in shell.cli("check-config").stderr
    assert done(shell, "sso", "optional", "acme", "--confirm") == "acme no longer requires single sign-on\n"
    assert shell.cli("check-config").returncode == 0
    assert "does not require" in failed(shell, "sso", "optional", "acme")


def test_on_says_that_the_settings_turn_it_off(connected: Gateway) -> None:
    connected.write(TRIED)
    done(connected, "sso", "domain", "add", "acme", "acme.example")
    connected.environ["GATEWAY_SSO__ON"] = "false"
    assert "as long as sso.on is false" in done(connected, "sso", "on", "acme")


def test_another_provider_is_refused_while_it_is_required(connected: Gateway) -> None:
    connected.write(REQUIRED)
    given = ("sso", "set", "acme", "--issuer", "https://other.example", "--secret-stdin")
    assert "sso optional" in failed(connected, *given, stdin="another\n")
    assert shown(connected)["issuer"] == ISSUER


def test_a_provider_is_turned_off_without_the_key_of_its_secret(connected: Gateway) -> None:
    connected.write("UPDATE identity_providers SET is_enabled = true, client_secret = :none", none=b"lost")
    assert done(connected, "sso", "off", "acme", "--confirm") == "single sign-on of acme is off\n"


FAILURES = [
    (["list", "--tenant", "x"], "No such option"),
    (["show", "acme"], "acme has no identity provider; add one with `otium-gateway sso set`"),
    (["show", "acmee"], "no tenant acmee. Existing tenants: acme, beta"),
    (["on", "acme"], "acme has no identity provider"),
    (["off", "acme", "--confirm"], "acme has no identity provider"),
    (["remove", "acme", "--confirm"], "acme has no identity provider"),
    (["set", "acmee", *NEW[3:]], "no tenant acmee"),
    (["set", "acme"], "--issuer: give the issuer"),
    (["set", "acme", "--issuer", "http://id.acme.example", *NEW[5:]], "--issuer: give the issuer"),
    (["set", "acme", "--issuer", ISSUER, "--secret-stdin"], "--client-id: give the client ID"),
    (["set", "acme", *NEW[3:-1]], "with --secret-stdin or --secret-file"),
    (["set", "acme", *NEW[3:-1], "--secret-file", "/nowhere"], "no such file: /nowhere"),
    (["set", "acme", *NEW[3:], "--secret-file", "/nowhere"], "either --secret-stdin or --secret-file"),
    (["set", "acme", *NEW[3:], "--kind", "adfs"], "--kind: use entra, google, okta, keycloak or generic"),
    (["set", "acme", *NEW[3:], "--kind", "entra", "--acr-values", "mfa"], "--acr-values: give words"),
    (["set", "acme", *NEW[3:-1], "--secret", SECRET], "No such option"),
    (["domain", "add", "acme", "example"], "as it stands after the @"),
    (["domain", "remove", "acme", "acme.example"], "acme has not claimed acme.example"),
]


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_failure_is_one_clear_line(shell: Gateway, arguments: list[str], said: str) -> None:
    assert said in failed(shell, "sso", *arguments, stdin=f"{SECRET}\n")
    assert done(shell, "sso", "list") == "none\n"
    assert events(shell) == []


def test_an_empty_secret_is_refused(shell: Gateway) -> None:
    assert "--secret-stdin or --secret-file" in failed(shell, *NEW, stdin="\n")
