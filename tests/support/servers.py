"""Real servers beside the gateway: nginx, Caddy, and the stand-in application under gunicorn."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.gateway import PROXY, free_port

CONFIG = Path(__file__).parent.parent.parent / "config"
START_SECONDS = 300.0


class Server:
    """A process that listens on `port` (or on a Unix socket), started and waited for."""

    def __init__(self, folder: Path, name: str, command: list[str], listens_on: int | str, **environ: str) -> None:
        self.log = folder / f"{name}.log"
        program = shutil.which(command[0])
        assert program is not None, f"{command[0]} is missing: run `make test`, or apt-get install {command[0]}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program, *command[1:]], env={**os.environ, **environ}, stdout=log, stderr=log
            )
        until = time.monotonic() + START_SECONDS
        while not is_listening(listens_on):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)


def is_listening(on: int | str) -> bool:
    family = socket.AF_UNIX if isinstance(on, str) else socket.AF_INET
    with socket.socket(family) as sock:
        return sock.connect_ex(on if isinstance(on, str) else ("127.0.0.1", on)) == 0


def application(folder: Path) -> tuple[Server, str]:
    """Start the stand-in OtiumWork; return it and its address."""
    path = str(folder / "application.sock")
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", "--threads", "32", "--keep-alive", "2",
        "--timeout", "0",  # a worker that had no processor for a while is not killed for that
        "--no-control-socket", "--log-level", "warning", "gateway.demo.upstream:create_app()",
    ]  # fmt: skip
    return Server(folder, "application", command, path), f"unix:{path}"


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for the test's host; return it and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=app.example.com", "-addext", "subjectAltName=DNS:app.example.com", "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
    return cert, key


def nginx(folder: Path, source: str, replacements: Mapping[str, str]) -> tuple[Server, int]:
    """Start nginx with one of the project's own files; its requests come from the trusted proxy's address."""
    port = free_port()
    cert, key = certificate(folder)
    text = (CONFIG / source).read_text()
    for old, new in {
        "/etc/ssl/certs/app.example.com.pem": str(cert),
        "/etc/ssl/private/app.example.com.key": str(key),
        "listen 443 ssl http2": f"listen 127.0.0.1:{port} ssl http2",
        "listen [::]:443 ssl http2;": "",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen [::]:80;": "",
        "/var/log/nginx/otium.log": str(folder / "access.log"),
        "proxy_http_version 1.1;": f"proxy_http_version 1.1; proxy_bind {PROXY};",
        **replacements,
    }.items():
        text = text.replace(old, new)
    site = folder / source
    site.write_text(text)
    main = folder / f"main-{source}"
    main.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"types {{ text/html html; text/css css; text/javascript js; }} include {site}; }}\n"
    )
    folder.chmod(0o755)
    return Server(folder, "nginx", ["nginx", "-c", str(main)], port), port


def caddy(folder: Path, source: str, replacements: Mapping[str, str]) -> tuple[Server, int]:
    """Start Caddy with one of the project's own files, over plain HTTP on loopback."""
    port = free_port()
    text = (CONFIG / source).read_text()
    for old, new in {"app.example.com {": f"http://app.example.com:{port} {{", **replacements}.items():
        text = text.replace(old, new)
    file = folder / "Caddyfile"
    file.write_text("{\n admin off\n auto_https off\n}\n" + text)
    command = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    return Server(
        folder, "caddy", command, port, HOME=str(folder), XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder)
    ), port
