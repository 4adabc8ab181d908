"""What the tests of the whole system share: one gateway, one upstream that records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.upstream import RecordingUpstream


@pytest.fixture(scope="session")
def recorder() -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream().start()
    yield upstream
    upstream.stop()


@pytest.fixture
def upstream(recorder: RecordingUpstream) -> RecordingUpstream:
    """The recording upstream, with nothing recorded yet and no scripts."""
    recorder.reset()
    return recorder


@pytest.fixture(scope="session")
def gateway(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with two workers in front of the recording upstream, as it would run."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    changes = {"LIMITS__PASSWORD_FAILURES": "5", "LISTEN__DRAIN_SECONDS": "5"}
    running = Gateway(folder, f"127.0.0.1:{recorder.port}", changes=changes).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


@pytest.fixture(scope="session")
def employee(gateway: Gateway) -> str:
    """The Cookie line of a signed-in employee."""
    return gateway.sign_in("employee")
