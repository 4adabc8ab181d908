"""What attacks share: a mail server that keeps everything, and a gateway that a test may change as it likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox(free_port()).start()
    yield box
    box.stop()


@pytest.fixture
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of this test alone; modules that share one, or want other settings, have their own `own`."""
    recorder.reset()
    mailbox.mails.clear()
    running = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
