"""The servers that are compared, each on one core, all in front of the same upstream."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SERVER_CORE, LOAD_CORE = "0", "1"
ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery staple"
EMAIL = "erin@acme.example"
HOST = "app.example.com"
CHEAP = 1_000  # rounds of PBKDF2
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAM = (sys.executable, "-m", "gateway")
ENVIRON = {**os.environ, "GATEWAY_SECRET": base64.b64encode(os.urandom(48)).decode(), "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Server:
    """`pid` of the process that does the work; `parent` of what was started."""

    name: str
    port: int
    pid: int
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def memory(self) -> dict[str, float]:
        return memory_of(self.pid)


def cpu_seconds(pid: int) -> float:
    """All its threads, also those that have ended, to the nanosecond: clock_getcpuclockid(3) of the process."""
    return time.clock_gettime(~pid << 3 | 2)


def memory_of(pid: int) -> dict[str, float]:
    """Return MB: `rss` counts shared pages in full, `pss` shares them out."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    figures = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:] if line.endswith("kB")}
    return {"rss": figures["Rss"], "pss": figures["Pss"]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def connected(address: int | Path) -> socket.socket:
    if not isinstance(address, Path):
        return socket.create_connection(("127.0.0.1", address), 1)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(address))
    return sock


def wait_for(address: int | Path) -> None:
    """Wait until something listens on a port, or on a Unix socket."""
    until = time.monotonic() + 600  # under valgrind it takes long
    while True:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET) as sock,
        ):
            sock.connect(str(address) if isinstance(address, Path) else ("127.0.0.1", address))
            return
        if time.monotonic() > until:
            raise SystemExit(f"nothing listens on {address}")
        time.sleep(0.05)


def start(
    core: str, *command: str, environ: dict[str, str] | None = None, log: Path, folder: Path = ROOT
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            ["taskset", "-c", core, *command], env=environ, cwd=folder, stdout=output, stderr=output
        )


def child_of(process: subprocess.Popen[bytes]) -> int:
    """Return the one worker of a server that keeps a process for watching it."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if children := children_of(process):
            return children[-1]
        time.sleep(0.05)
    raise SystemExit("a server has no worker")


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@contextlib.contextmanager
def upstream(folder: Path) -> Iterator[int]:
    """nginx with files of 1 KB, 64 KB and 200 MB: cheaper than any application, so that it is not what is measured.

    It keeps its files open and sends the small one in one piece: else it needs more of the core that it shares with
    the load than a fast server leaves it, and the ratios end where that core does.
    """
    files = folder / "files"
    files.mkdir()
    (files / "1k").write_bytes(b"a" * 1_024)
    (files / "64k").write_bytes(b"a" * 65_536)
    with (files / "200m").open("wb") as big:
        big.truncate(200_000_000)
    port = free_port()
    config = nginx_config(
        folder,
        "upstream",
        f"server {{ listen 127.0.0.1:{port} backlog=4096; root {files};"
        " open_file_cache max=10; open_file_cache_valid 1h; location = /1k { sendfile off; }"
        " location = /requests { stub_status; } }",
    )
    process = start(LOAD_CORE, "nginx", "-c", str(config), log=folder / "upstream.log")
    wait_for(port)
    try:
        yield port
    finally:
        end(process)


@contextlib.contextmanager
def nginx(folder: Path, to: int, access_log: bool) -> Iterator[Server]:
    port = free_port()
    log = f"access_log {folder}/nginx-access.log;" if access_log else "access_log off;"
    config = nginx_config(
        folder,
        "nginx",
        f"upstream app {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 100000000; }}"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; {log} location / {{ proxy_pass http://app;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )
    process = start(SERVER_CORE, "nginx", "-c", str(config), log=folder / "nginx.log")
    wait_for(port)
    try:
        yield Server("nginx", port, child_of(process), process)
    finally:
        end(process)


@contextlib.contextmanager
def caddy(folder: Path, to: int, access_log: bool, program: str = "caddy") -> Iterator[Server]:
    """With as many idle connections as nginx keeps: its default of 32 makes each request 5 % dearer here."""
    port = free_port()
    log = f"log {{\n output file {folder}/caddy-access.log\n}}\n" if access_log else ""
    config = folder / "Caddyfile"
    config.write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n {log}"
        f"reverse_proxy 127.0.0.1:{to} {{\n transport http {{\n keepalive_idle_conns_per_host 64\n }}\n }}\n}}\n"
    )
    command = (program, "run", "--config", str(config), "--adapter", "caddyfile")
    environ = {**os.environ, "HOME": str(folder), "GOMAXPROCS": "1"}
    process = start(SERVER_CORE, *command, environ=environ, log=folder / "caddy.log")
    wait_for(port)
    try:
        yield Server("caddy", port, process.pid, process)
    finally:
        end(process)


@contextlib.contextmanager
def relay(folder: Path, to: int, access_log: bool) -> Iterator[Server]:
    """No gateway at all: what is left of its costs when nothing is read or checked."""
    port = free_port()
    program = (sys.executable, str(ROOT / "bench" / "relay.py"), str(port), str(to))
    process = start(SERVER_CORE, *program, log=folder / "relay.log")
    wait_for(port)
    try:
        yield Server("relay", port, process.pid, process)
    finally:
        end(process)


@contextlib.contextmanager
def gateway(
    folder: Path, to: int, access_log: bool, workers: int = 1, tree: Path = ROOT, store: str = ""
) -> Iterator[Server]:
    """A rule that admits every signed-in person; every header rule on. The code is that of `tree`.

    `store` are lines of its section, for another one than SQLite.
    """
    port = free_port()
    config = folder / "config"
    config.mkdir(exist_ok=True)
    sqlite = f'url = "sqlite:///{folder / "store" / "gateway.db"}"'
    (config / "access.toml").write_text('rules = [{ path = "/" }, { path = "/admin", roles = ["admin"] }]\n')
    (config / "gateway.toml").write_text(
        f'public_url = "http://localhost:{port}"\n'
        f'hosts = ["127.0.0.1:{port}"]\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}"]\nworkers = {workers}\naccess_log = {str(access_log).lower()}\n'
        f'[upstream]\naddress = "127.0.0.1:{to}"\n'
        f"[store]\n{store or sqlite}\n"
        '[admin]\nlisten = ""\n'
    )
    add = (*PROGRAM, "account", "add", EMAIL, "--name", "Erin", "--password-stdin", "--config", str(config))
    if not (folder / "store").exists():
        migrate(config, tree)
        subprocess.run(add, env=ENVIRON, cwd=tree, check=True, input=PASSWORD.encode(), stdout=subprocess.DEVNULL)
    with serving(config, port, tree) as server:
        time.sleep(1)
        yield server


@contextlib.contextmanager
def deployed(
    folder: Path, to: int, tree: Path, assertion: bool, *, name: str = "gateway", core: str = SERVER_CORE,
    workers: int = 1, rounds: int = CHEAP, under: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:  # fmt: skip
    """The gateway with the settings that config/nginx.conf asks for, and an access log.

    Passwords are hashed with `rounds` of PBKDF2. Gateways with the same folder and other names share a store. `under`
    is the beginning of the command.
    """
    port, config = free_port(), folder / name
    config.mkdir()
    (config / "access.toml").write_text('public = [{ path = "/public" }]\nrules = [{ path = "/" }]\n')
    (config / "gateway.toml").write_text(
        f'public_url = "https://{HOST}"\n'
        f'[listen]\naddresses = ["127.0.0.1:{port}", "{inside(folder, name)}"]\n'
        f"workers = {workers}\nhung_seconds = 600\n"
        'trusted_proxies = ["127.0.0.1", "unix"]\n'
        f'[upstream]\naddress = "127.0.0.1:{to}"\n'
        f'[store]\nurl = "{store_of(folder)}"\n'
        f"[limits]\nhashing_iterations = {rounds}\n{'hashing_queue = 10000' if rounds == CHEAP else ''}\n"
        f'[identity.names]\nassertion = "{"X-Otium-Assertion" if assertion else ""}"\n'
        '[mail]\nhost = ""\n'
        '[admin]\nlisten = ""\n'
    )
    if not (folder / "store").exists():
        migrate(config, tree)
    with serving(config, port, tree, core, under, environ) as server:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("GET", "/login", headers={"Host": HOST})  # answered once there is a worker
        connection.getresponse().read()
        connection.close()
        Path(inside(folder, name).removeprefix("unix:")).chmod(0o777)  # nginx's workers are nobody
        yield dataclasses.replace(server, name=name, pid=child_of(server.process))


def inside(folder: Path, name: str = "gateway") -> str:
    """Return the Unix socket of a gateway, for a proxy on the same machine, as operations.md recommends it."""
    return f"unix:{folder / name}.sock"


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/store/gateway.db"


def migrate(config: Path, tree: Path) -> None:
    command = (*PROGRAM, "migrate", "--config", str(config))
    subprocess.run(command, env=ENVIRON, cwd=tree, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def serving(
    config: Path, port: int, tree: Path, core: str = SERVER_CORE, under: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:  # fmt: skip
    command = (*under, *PROGRAM, "serve", "--config", str(config))
    log = config.parent / f"{config.name}.log"
    process = start(core, *command, environ={**ENVIRON, **environ}, log=log, folder=tree)
    try:
        wait_for(port)
        yield Server("gateway", port, child_of(process), process)
    finally:
        end(process)


@contextlib.contextmanager
def nginx_as_shipped(folder: Path, file: str, upstreams: Mapping[str, str], tree: Path = ROOT) -> Iterator[Server]:
    """nginx with a file of config/, but without TLS. `upstreams` maps the ports of the file to our addresses."""
    port = free_port()
    text = (tree / "config" / file).read_text()
    text = re.sub(r"^ +(ssl_.*|listen \[::\].*)\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443 ssl http2", f"listen 127.0.0.1:{port}")
    text = text.replace("listen 80", f"listen 127.0.0.1:{free_port()}")
    for theirs, ours in upstreams.items():
        text = text.replace(f"server 127.0.0.1:{theirs};", f"server {ours};")
    log = folder / f"nginx-{port}"
    config = nginx_config(folder, log.name, text.replace("/var/log/nginx/otium.log", f"{log}-access.log"))
    process = start(SERVER_CORE, "nginx", "-c", str(config), log=log)
    try:
        wait_for(port)
        yield Server("nginx", port, child_of(process), process)
    finally:
        end(process)


@contextlib.contextmanager
def checked_out(commit: str, tree: Path) -> Iterator[Path]:
    """Check an older commit out into the folder `tree`."""
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run((*git, "add", "--detach", "--quiet", str(tree), commit), check=True)
    try:
        yield tree
    finally:
        subprocess.run((*git, "remove", "--force", str(tree)), check=True)


def nginx_config(folder: Path, name: str, inside: str) -> Path:
    path = folder / f"{name}.conf"
    path.write_text(
        f"daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}-error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; {inside} }}\n"
    )
    return path


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)
