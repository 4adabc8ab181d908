"""The files that operators copy, put before the real programs."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.process.supervisor import CHECK_SECONDS
from gateway.settings import Settings
from gateway.settings.load import SECRET_CREDENTIAL
from gateway.settings.together import MAIL_PASSWORD_CREDENTIAL
from tests.support.gateway import Gateway, free_port
from tests.support.raw import exchange, get
from tests.support.servers import certificate
from tests.support.upstream import RecordingUpstream

ROOT = Path(__file__).parent.parent.parent


def test_the_service_is_confined(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd"
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(ROOT / "systemd/otium-gateway.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"exposure level for otium-gateway.service: ([\d.]+)", result.stdout)
    assert exposure is not None, result.stderr
    assert float(exposure[1]) <= 1.1


def test_the_units_are_well_formed(tmp_path: Path) -> None:
    for unit in (ROOT / "systemd").iterdir():
        text = unit.read_text().replace("/opt/otium-gateway/.venv/bin/otium-gateway", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", (ROOT / "systemd/otium-gateway.service").read_text(), re.MULTILINE)


def test_the_unit_fits_the_program() -> None:
    """Its watchdog is fed by serve, its credentials are those that are read, and it waits for who drains."""
    assert setting("Type") == ["notify"]
    assert setting("DynamicUser") == ["yes"]
    assert int(setting("WatchdogSec")[0]) >= 10 * CHECK_SECONDS
    assert int(setting("TimeoutStopSec")[0]) > Settings().listen.drain_seconds + 5
    assert setting("LoadCredential") == [f"{SECRET_CREDENTIAL}:/etc/otium-gateway/secret"]
    assert f"# LoadCredential={MAIL_PASSWORD_CREDENTIAL}:" in (ROOT / "systemd/otium-gateway.service").read_text()


def test_systemds_own_activator_starts_it_and_it_serves(upstream: RecordingUpstream, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    port = free_port()
    program = shutil.which("systemd-socket-activate")
    assert program, "systemd-socket-activate is missing: apt-get install systemd"
    passed_on = [f"--setenv={name}={value}" for name, value in gateway.environ.items()]
    with gateway.log.open("ab") as log:
        gateway.process = subprocess.Popen(
            [program, f"--listen=127.0.0.1:{port}", *passed_on,
             sys.executable, "-m", "gateway", "serve", "--config", str(gateway.config)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        gateway.wait_for("Listening on")
        response = exchange(port, get("/public"))  # waits in the socket until somebody serves
        assert response is not None
        assert response.body == b"ok"
    finally:
        assert gateway.stop() == 0


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-auth-request.conf"])
def test_nginx_takes_the_sites_as_they_are(tmp_path: Path, name: str) -> None:
    cert, key = certificate(tmp_path)
    site = (ROOT / "config" / name).read_text()
    site = site.replace("/etc/ssl/certs/app.example.com.pem", str(cert))
    site = site.replace("/etc/ssl/private/app.example.com.key", str(key))
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "main.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    result = subprocess.run(
        ["nginx", "-t", "-c", str(tmp_path / "main.conf")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr
    assert "[emerg]" not in result.stderr


def test_caddy_takes_its_file_as_it_is(tmp_path: Path) -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(ROOT / "config/Caddyfile.forward-auth")]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_shipped_settings_pass_the_check(tmp_path: Path) -> None:
    for file in ("gateway.toml", "access.toml"):
        shutil.copy(ROOT / "config" / file, tmp_path)
    secret = base64.b64encode(os.urandom(48)).decode()
    result = subprocess.run(
        [sys.executable, "-m", "gateway", "check-config", "--config", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "GATEWAY_SECRET": secret, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
