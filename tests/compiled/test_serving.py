"""A gateway that serves with compiled modules."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.process.compiled import LIBRARY, MANIFEST, MODULES, VARIABLE
from tests.compiled.forms import PATIENCE, compiled_modules
from tests.support import forks
from tests.support.gateway import ANEW, Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

pytestmark = pytest.mark.timeout(PATIENCE)


@pytest.fixture(scope="module")
def compiled(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), f"127.0.0.1:{recorder.port}").seed()
    gateway.program = ANEW
    gateway.environ[VARIABLE] = str(compiled_modules())
    gateway.start()
    yield gateway
    assert gateway.stop() == 0


def has_library(pid: int) -> bool:
    return LIBRARY in Path(f"/proc/{pid}/maps").read_text()


def test_each_worker_runs_compiled_modules_also_after_a_reload(compiled: Gateway) -> None:
    assert '"data_path": "compiled"' in compiled.logged()
    before = compiled.workers()
    assert all(map(has_library, before))
    compiled.reload_files()
    after = {*compiled.workers()} - {*before}
    assert (len(before), len(after)) == (2, 2)
    assert all(map(has_library, after))


def test_a_person_signs_in_is_forwarded_and_signs_out(compiled: Gateway, upstream: RecordingUpstream) -> None:
    cookie = compiled.sign_in("employee")
    assert compiled.exchange(get("/x", cookie)).body == b"ok"
    assert upstream.requests[0].all("remote-email") == ["erin@acme.example"]
    assert compiled.post("/logout", {}, cookie).status == 303
    assert compiled.exchange(get("/x", cookie)).status != 200
    assert len(upstream.requests) == 1


def test_a_revoked_session_is_dead_on_its_next_request(compiled: Gateway, upstream: RecordingUpstream) -> None:
    cookie = compiled.sign_in("employee")
    assert [compiled.exchange(get("/x", cookie)).status for _ in range(20)] == [200] * 20
    revoke = ["session", "revoke", "--email", "erin@acme.example", "--config", str(compiled.config)]
    assert forks.run(revoke, compiled.environ).returncode == 0
    asked = len(upstream.requests)
    assert {compiled.exchange(get("/x", cookie)).status for _ in range(20)} == {401}
    assert len(upstream.requests) == asked


def test_check_config_says_which_form_runs(compiled: Gateway) -> None:
    said = compiled.cli("check-config").stdout
    assert "the data path runs compiled" in said


def test_after_an_upgrade_python_serves_with_one_warning(tmp_path: Path, upstream: RecordingUpstream) -> None:
    former = shutil.copytree(compiled_modules(), tmp_path / "compiled")
    manifest = json.loads((former / MANIFEST).read_text())
    manifest["sources"][MODULES[0]] = hashlib.sha256(b"its source of before").hexdigest()
    (former / MANIFEST).write_text(json.dumps(manifest))
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    gateway.program = ANEW
    gateway.environ[VARIABLE] = str(former)
    gateway.start()
    try:
        assert not any(map(has_library, gateway.workers()))
        assert gateway.exchange(get("/public")).status == 200
    finally:
        gateway.stop()
    assert '"data_path": "as Python"' in gateway.logged()
    assert gateway.logged().count("make compile`, or delete the folder") == 1
    assert "compiled for another version of the gateway" in gateway.logged()
