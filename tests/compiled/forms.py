"""The two forms of the data path, each in a process of its own, and what is compiled for the tests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.process.compiled import OFF, VARIABLE, mismatch
from tests.compiled.probes import Question

ROOT = Path(__file__).parent.parent.parent
COMPILE = ROOT / "bin/compile"
KEPT = ROOT / ".pytest_cache" / "compiled"  # compiled anew only if something has changed
MADE_BY = KEPT.with_suffix(".recipe")  # the sum of the program that compiled them
PATIENCE = 1_500  # seconds, for what waits until all modules are compiled: a machine may do much else


def compiled_modules() -> Path:
    """Return a folder of modules that are compiled from the sources as they are."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        recipe = hashlib.sha256(COMPILE.read_bytes()).hexdigest()
        if not MADE_BY.exists() or MADE_BY.read_text() != recipe or mismatch(KEPT):
            environ = {**os.environ, VARIABLE: str(KEPT)}
            subprocess.run([sys.executable, COMPILE], env=environ, check=True, timeout=PATIENCE)
            MADE_BY.write_text(recipe)
    return KEPT


@dataclass(frozen=True, slots=True)
class Form:
    """A process that answers questions (tests.compiled.probes)."""

    process: subprocess.Popen[bytes]

    def ask(self, questions: Sequence[Question]) -> None:
        assert self.process.stdin is not None
        pickle.dump(questions, self.process.stdin)
        self.process.stdin.flush()

    def answers(self) -> list[str]:
        assert self.process.stdout is not None
        found: list[str] = pickle.load(self.process.stdout)
        return found


@contextlib.contextmanager
def running(form: str) -> Iterator[Form]:
    """Start a process with what GATEWAY_COMPILED may say."""
    environ = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", VARIABLE: form}
    command = [sys.executable, "-m", "tests.compiled.probes"]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Form(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


PYTHON = OFF
