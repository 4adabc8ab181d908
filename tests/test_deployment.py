"""The files that operators copy, put before the real programs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from gateway.app import ROUTES

ROOT = Path(__file__).parent.parent


def test_the_service_is_confined(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd"
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(ROOT / "systemd/otium-gateway.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"exposure level for otium-gateway.service: ([\d.]+)", result.stdout)
    assert exposure is not None, result.stderr
    assert float(exposure[1]) <= 1.1


def test_the_units_are_well_formed(tmp_path: Path) -> None:
    for unit in (ROOT / "systemd").iterdir():
        text = unit.read_text().replace("/opt/otium-gateway/.venv/bin/otium-gateway", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_lock_file_names_no_place() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines), lines


def test_every_dependency_is_used() -> None:
    names = {"argon2-cffi": "argon2"}
    project = (ROOT / "pyproject.toml").read_text()
    declared = re.search(r"\ndependencies = \[\n(.*?)\n\]", project, re.DOTALL)
    assert declared is not None
    code = "\n".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    for name in re.findall(r'"([A-Za-z0-9-]+)>=', declared[1]):
        module = names.get(name.lower(), name.lower().replace("-", "_"))
        assert re.search(rf"(?:from |import |\+){module}\b", code), name


def test_every_page_is_named_in_the_documentation() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for route in ROUTES:
        assert f"| `{route.name}` | `{route.path}` |" in text
