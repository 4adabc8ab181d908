"""Several gateways on one PostgreSQL, with nginx in front that sends each request to the next of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support import pg_relay
from tests.support.gateway import ACCESS, ANEW, HOST, ORIGIN, PROXY, Gateway, free_port
from tests.support.servers import Server, is_listening

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
NO_MAIL = {"MAIL__HOST": "", "LISTEN__ACCESS_LOG": "false"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """`relays` are the ways of the nodes to the database, if there are any. `port` is nginx's."""

    nodes: list[Gateway]
    relays: list[subprocess.Popen[bytes]]
    port: int

    def send(self, node: int, signum: signal.Signals) -> None:
        """Send a signal to all processes of a node: SIGSTOP freezes it, SIGKILL is a machine that is gone.

        The supervisor is stopped first and goes on last, so it neither replaces a worker meanwhile nor misses one.
        """
        process = self.nodes[node].process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        for pid in self.nodes[node].workers():
            os.kill(pid, signum)
        os.kill(process.pid, signum)


@contextlib.contextmanager
def cluster(
    folder: Path,
    url: str,
    upstream: str,
    count: int,
    *,
    relayed_to: int = 0,
    drops: bool = False,
    public_url: str = ORIGIN,
    port: int = 0,
    mail_port: int = 0,
    access: str = ACCESS,
    with_clock: int | None = None,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run `count` nodes with the store at `url`, which is filled. `relayed_to` is the port of its server: then each node
    reaches it through a relay of its own, and `{port}` in `url` is that of the relay. The wall clock of the node
    `with_clock` is what the file "clock" in the folder says (libfaketime): an offset in seconds.
    """
    with contextlib.ExitStack() as stack:
        nodes, relays = [], []
        for number in range(count):
            store_url = url
            if relayed_to:
                relay_port = free_port()
                relay = pg_relay.start(relay_port, relayed_to, drops=drops)
                stack.callback(relay.wait)
                stack.callback(relay.kill)
                relays.append(relay)
                while not is_listening(relay_port):
                    assert relay.poll() is None
                store_url = url.format(port=relay_port)
            node = Gateway(
                folder / f"node{number}", upstream, store_url=store_url, public_url=public_url, access=access,
                mail_port=mail_port, changes={**({} if mail_port else NO_MAIL), **(changes or {})},
            )  # fmt: skip
            if number == with_clock:
                (folder / "clock").write_text("+0")
                node.program = ANEW
                node.environ |= {
                    "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": str(Path.cwd()),
                }  # fmt: skip
            nodes.append(node)
            stack.callback(end, node)
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(Gateway.start, nodes))
        listens = port or free_port()
        front = nginx(folder, listens, [node.port for node in nodes], public_url)
        stack.callback(front.stop)
        yield Cluster(nodes, relays, listens)


def end(node: Gateway) -> None:
    if node.process is not None and node.process.poll() is None:
        node.stop()


def nginx(folder: Path, port: int, to: list[int], public_url: str) -> Server:
    """Start nginx so that each request goes to another node, and is not tried again elsewhere."""
    host = HOST if public_url == ORIGIN else public_url.partition("//")[2]
    nodes = " ".join(f"server 127.0.0.1:{node} max_fails=0;" for node in to)
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"upstream nodes {{ {nodes} }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://nodes; proxy_http_version 1.1;\n"
        f"proxy_bind {PROXY}; proxy_set_header Host {host}; proxy_set_header X-Forwarded-For $remote_addr;\n"
        'proxy_set_header Connection ""; proxy_next_upstream off; proxy_read_timeout 30s; } } }\n'
    )
    folder.chmod(0o755)
    return Server(folder, "nginx", ["nginx", "-c", str(main)], port)
