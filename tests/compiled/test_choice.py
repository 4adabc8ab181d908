"""The compiled form is used only if it was made from just these sources, for this Python; else Python runs, and says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.process.compiled import LIBRARY, MANIFEST, MODULES, OFF, VARIABLE, file_of
from tests.compiled.forms import PATIENCE, ROOT, compiled_modules

pytestmark = pytest.mark.timeout(PATIENCE)

SAY = """
import os
from gateway.process.compiled import use_compiled
form = use_compiled(os.environ)
from gateway.wire import http1
print(form.is_compiled, http1.__file__.endswith(".so"), form.problem, sep="|")
"""


def say(folder: str | Path | None, code: str = SAY, root: Path = ROOT) -> list[str]:
    """Return the form that a new process chooses, the one that it runs, and the problem."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    if folder is not None:
        environ[VARIABLE] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd="/", capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return done.stdout.strip().split("|")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the compiled modules."""
    return Path(shutil.copytree(compiled_modules(), tmp_path / "compiled"))


def change_manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def change_file(folder: Path) -> None:
    with (folder / file_of(LIBRARY)).open("ab") as file:
        file.write(b"\0")


BROKEN: dict[str, Callable[[Path], object]] = {
    "compiled with mypy 2.4.0, 1;": change_manifest(recipe="mypy 2.4.0, 1"),
    "for another Python": change_manifest(python="3.12.1 cpython-312-x86_64-linux-gnu"),
    "for another version of the gateway": change_manifest(sources={}),
    "were changed since": change_file,
    "are incomplete": lambda folder: (folder / file_of(MODULES[0])).unlink(),
    "are incomplete ": lambda folder: (folder / MANIFEST).unlink(),
    "are incomplete (": lambda folder: (folder / MANIFEST).write_text("{"),
}


def test_the_compiled_form_is_used_if_all_matches(copy: Path) -> None:
    assert say(copy) == ["True", "True", ""]


@pytest.mark.parametrize("problem", BROKEN)
def test_else_python_runs_and_says_why_and_what_to_do(copy: Path, problem: str) -> None:
    BROKEN[problem](copy)
    chosen, runs, told = say(copy)
    assert (chosen, runs) == ("False", "False")
    assert problem.strip() in told
    assert " make compile`, or delete the folder" in told


def test_a_changed_source_falls_back_to_python(copy: Path, tmp_path: Path) -> None:
    """One byte in one of the modules; in any other, nothing is compiled anew."""
    shutil.copytree(
        ROOT / "gateway", tmp_path / "tree/gateway", ignore=shutil.ignore_patterns("__pycache__", "_compiled")
    )
    assert say(copy, root=tmp_path / "tree") == ["True", "True", ""]
    for name, is_compiled in (("process/worker.py", "True"), ("wire/target.py", "False")):
        with (tmp_path / "tree/gateway" / name).open("a") as file:
            file.write("\n")
        assert say(copy, root=tmp_path / "tree")[0] == is_compiled


@pytest.mark.parametrize("folder", [OFF, None])
def test_without_a_folder_or_switched_off_python_runs_and_says_nothing(folder: str | None, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__", "_compiled"))
    assert say(folder, root=tmp_path) == ["False", "False", ""]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert say(tmp_path / "none")[2].startswith("GATEWAY_COMPILED names no folder")


def test_both_forms_are_never_mixed(copy: Path) -> None:
    """What is imported before the choice is Python's, and so then is all else."""
    assert say(copy, "from gateway.wire import target\n" + SAY)[:2] == ["False", "False"]


def test_nothing_that_is_compiled_is_imported_before_serve_chooses() -> None:
    code = "import sys, gateway.cli, gateway.process.compiled as c\nprint(*[n for n in c.MODULES if n in sys.modules])"
    assert say(None, code) == [""]
