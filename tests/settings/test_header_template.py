"""Header values made of text and placeholders: read at the start, filled for each person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.settings import BadSettings, Settings, load
from gateway.settings.header_template import PERSON, read_template
from tests.support.gateway import SECRET

TOLD = {key: f"<{key}>" for key in PERSON} | {"credential:app-token": "s3cret"}

FILLED = [
    ("{id}", "<id>"),
    ("{local}@{domain}", "<local>@<domain>"),
    ("Bearer {credential:app-token}", "Bearer s3cret"),
    ("/app", "/app"),
    ("{{{email}}}", "{<email>}"),
    ("a, {tenant}; {role}", "a, <tenant>; <role>"),
]

REFUSED = [
    ("{user}", "there is no {user}; there are {id}, {email}, {local}"),
    ("{}", "there is no {}"),
    ("{email!r}", "there is no {email}"),
    ("{email:>9}", "there is no {email}"),
    ("{email.__class__}", "there is no {email.__class__}"),
    ("{credential}", "there is no {credential}"),
    ("{credential:../x}", "there is no {credential}"),
    ("{credential:App}", "there is no {credential}"),
    ("{email", "a brace has no partner"),
    ("email}", "a brace has no partner"),
    ("a\nX: b", "printable ASCII"),
    ("Zoë", "printable ASCII"),
    (" {id}", "without spaces at either end"),
]


@pytest.mark.parametrize(("text", "value"), FILLED)
def test_a_template_is_filled(text: str, value: str) -> None:
    assert read_template(text).fill(TOLD) == value


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_a_template_that_can_not_be_filled_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_template(text)


def test_what_names_the_person_and_what_does_not() -> None:
    assert [read_template(text).names_person for text, _ in FILLED] == [True, True, False, False, True, True]


def read(folder: Path, headers: str, **environ: str) -> Settings:
    (folder / "access.toml").touch()
    (folder / "gateway.toml").write_text(f"[identity.headers]\n{headers}")
    return load(folder, {"GATEWAY_SECRET": SECRET, **environ})


WRONG = [
    ('"X-User" = "{user}"', "gateway.toml: identity.headers: X-User: there is no {user}"),
    ('"Host" = "x"', "gateway.toml: identity.headers: Host: Host says something else already"),
    ('"X_User" = "x"', "identity.headers: X_User: 'X_User' is no header name"),
    ('"X-User" = 1', "identity.headers: X-User: must be text"),
    ('"remote-user" = "{local}"', "identity.headers.remote-user: this name stands in [identity.names]"),
    ('"X-A" = "a"\n"x-a" = "b"', "identity.headers.x-a: this name stands in [identity.names], or here, already"),
    (
        '"X-App" = "{credential:app-token}"',
        "environment: GATEWAY_CREDENTIAL_APP_TOKEN: give the secret in this variable, or as the credential app-token",
    ),
]


@pytest.mark.parametrize(("headers", "said"), WRONG)
def test_a_header_that_can_not_be_told_stops_the_start(tmp_path: Path, headers: str, said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, headers)
    assert len(caught.value.problems) == 1
    assert said in str(caught.value)


def test_a_secret_comes_from_the_environment_or_as_a_credential(tmp_path: Path) -> None:
    header = '"X-App" = "{credential:app-token}"'
    settings = read(tmp_path, header, GATEWAY_CREDENTIAL_APP_TOKEN="s3cret")
    assert {name: secret.reveal() for name, secret in settings.credentials.items()} == {"app-token": "s3cret"}
    assert "s3cret" not in repr(settings)
    (tmp_path / "app-token").write_text("two\n")
    settings = read(tmp_path, header, CREDENTIALS_DIRECTORY=str(tmp_path), GATEWAY_CREDENTIAL_APP_TOKEN="s3cret")
    assert settings.credentials["app-token"].reveal() == "two"
    with pytest.raises(BadSettings, match="one line of printable ASCII"):
        read(tmp_path, header, GATEWAY_CREDENTIAL_APP_TOKEN="Zoë")


def test_the_settings_in_the_documentation_load(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent.parent / "docs/applications.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 5
    (tmp_path / "access.toml").touch()
    for block in blocks:
        (tmp_path / "gateway.toml").write_text(block)
        load(tmp_path, {"GATEWAY_SECRET": SECRET, "GATEWAY_CREDENTIAL_PGADMIN": "s3cret"})
