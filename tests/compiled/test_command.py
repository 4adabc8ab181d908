"""What `make compile` refuses and with what it compiles, and a folder that the gateway may not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateway.process.compiled import RECIPE, VARIABLE

ROOT = Path(__file__).parents[2]


def test_a_folder_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    folder, beside = tmp_path / "data", tmp_path / "data.old"
    for place in (folder, beside):
        place.mkdir()
        (place / "precious").write_text("x")
    run = subprocess.run(
        [sys.executable, "bin/compile"], env={**os.environ, VARIABLE: str(folder)}, cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    assert f"{folder} has other files" in run.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "data", "data.old", "data.old/precious", "data/precious",
    ]  # fmt: skip


def test_the_compiler_is_the_locked_one() -> None:
    compiler, _, _ = RECIPE.partition(", ")
    assert compiler.replace(" ", "==") in (ROOT / "requirements-dev.lock").read_text().splitlines()


NOBODY = """
import os, sys
from gateway.process.compiled import VARIABLE, use_compiled
os.geteuid() or os.setuid(65_534)
print(use_compiled({VARIABLE: sys.argv[1]}).problem)
"""


def test_a_folder_that_may_not_be_read_keeps_nothing_from_starting(tmp_path: Path) -> None:
    (tmp_path / "closed" / "folder").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o000 if os.geteuid() else 0o700)
    folder = str(tmp_path / "closed" / "folder")
    said = subprocess.run([sys.executable, "-c", NOBODY, folder], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == f"{VARIABLE} names no folder that can be read: {folder}\n"
