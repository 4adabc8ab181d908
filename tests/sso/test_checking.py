"""Start-up checks: a tenant that requires single sign-on must have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gateway import Gateway, free_port
from tests.support.upstream import RecordingUpstream

DEMAND = "UPDATE tenants SET factor_policy = 'first=sso' WHERE slug = 'acme'"
EXEMPT = "UPDATE accounts SET enrolled = 'totp =exempt' WHERE identifier IN ('adam@acme.example', 'mara@acme.example')"


def gateway_with(folder: Path, upstream: RecordingUpstream, **changes: str) -> Gateway:
    return Gateway(folder, f"127.0.0.1:{upstream.port}", changes=changes, mail_port=free_port()).seed()


def test_single_sign_on_cant_be_off_where_a_tenant_requires_it(tmp_path: Path, recorder: RecordingUpstream) -> None:
    own = gateway_with(tmp_path, recorder)
    own.write(DEMAND)
    for command in ("check-config", "serve"):
        done = own.cli(command)
        assert done.returncode != 0
        assert "gateway.toml: sso.on: acme would be locked out" in done.stderr
        assert "otium-gateway sso optional acme" in done.stderr


@pytest.mark.parametrize("is_exempt", [False, True])
def test_too_few_exempt_administrators_are_a_warning(
    tmp_path: Path, recorder: RecordingUpstream, is_exempt: bool
) -> None:
    own = gateway_with(tmp_path, recorder, SSO__ON="true")
    own.write(DEMAND)
    if is_exempt:
        own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'mara@acme.example'")
        own.write(EXEMPT)
    done = own.cli("check-config")
    assert done.returncode == 0
    assert (
        "acme requires single sign-on and has 0 exempt administrators" in done.stdout + done.stderr
    ) is not is_exempt
