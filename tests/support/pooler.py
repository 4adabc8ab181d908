"""A real PgBouncer in transaction mode, in front of a server of tests.support.postgres."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.gateway import free_port
from tests.support.postgres import USER, Server, in_a_folder

SETTINGS = """
[databases]
* = host={folder}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


@dataclass(frozen=True, slots=True)
class Pooler:
    port: int

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def pooling(server: Server) -> Iterator[Pooler]:
    """Start a pooler, and stop it at the end."""
    port = free_port()
    with in_a_folder() as folder, open(folder / "log", "wb") as log:
        (folder / "users").write_text(f'"{USER}" ""\n')
        (folder / "pgbouncer.ini").write_text(SETTINGS.format(folder=server.folder, port=port))
        somebody = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups") if os.geteuid() == 0 else ()
        process = subprocess.Popen([*somebody, "pgbouncer", "pgbouncer.ini"], cwd=folder, stdout=log, stderr=log)
        try:
            while b"process up" not in (folder / "log").read_bytes():
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
            yield Pooler(port)
        finally:
            process.terminate()
            process.wait(120)
