"""What is installed: the wheel alone, with the lock file of production, in an environment that holds nothing else."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

ROOT = Path(__file__).parent.parent.parent
LOCKS = ("requirements.lock", "requirements-demo.lock", "requirements-dev.lock")
pytestmark = pytest.mark.timeout(600)  # pip downloads

SIZE_TOLERANCE = 0.15  # of the size that docs/operations.md states


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and what its lock file names, as docs/operations.md does; return the environment's folder."""
    folder = tmp_path_factory.mktemp("package")
    sources = folder / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".*", "var", "__pycache__", "tests", "bench"))
    run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(sources), PIP_NO_COMPILE="1")
    run("-m", "venv", "--without-pip", str(folder / "venv"))
    copy_locked(folder / "venv")
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(folder / "venv/bin/python"))
    run(*pip, "install", "--no-deps", *map(str, folder.glob("*.whl")))
    run(*pip, "check")  # whatever the packages need is in the lock file
    return folder / "venv"


def copy_locked(environment: Path) -> None:
    """Copy the packages of production's lock file from this environment, in which pip installed those of all three.

    It also compiled them, and that takes longer than all else here. Their own programs stay where they are.
    """
    (target,) = environment.glob("lib/python*/site-packages")
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, _, version = line.partition("==")
        package = distribution(name)
        assert package.version == version, f"{name} is not the locked one: run bin/make-venv"
        for file in package.files or ():
            if ".." not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), target / file)


def run(*arguments: str, **environ: str) -> None:
    subprocess.run([sys.executable, *arguments], env={**os.environ, **environ}, check=True)


def test_the_wheel_alone_checks_its_settings_serves_and_signs_in(
    installed: Path, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed()
    gateway.program = [str(installed / "bin/otium-gateway")]
    checked = gateway.cli("check-config")
    assert (checked.returncode, checked.stderr) == (0, "")
    for mail in ("new_device", "totp_enabled"):  # of templates/, and of a factor
        assert gateway.cli("mail", "preview", mail).stdout.startswith("Subject: ")
    gateway.start()
    try:
        cookie = gateway.sign_in("employee")
        assert gateway.exchange(get("/x", cookie)).body == b"ok"
        assert gateway.exchange(get("/me/security", cookie)).status == 200
    finally:
        assert gateway.stop() == 0


def test_the_documentation_states_the_installed_size(installed: Path) -> None:
    stated = re.search(r"about (\d+) MB", (ROOT / "docs/operations.md").read_text())
    assert stated is not None
    measured = sum(file.stat().st_size for file in installed.rglob("*") if file.is_file() and not file.is_symlink())
    assert abs(measured / 1_000_000 / int(stated[1]) - 1) < SIZE_TOLERANCE, measured


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_place(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines), lines


def test_the_lock_file_of_the_identity_provider_names_no_place() -> None:
    folder = ROOT / "tests/support/oidc"
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    packages = {name: package for name, package in locked.items() if name}
    assert len(packages) > 30
    assert [name for name, package in packages.items() if "integrity" not in package or "resolved" in package] == []
    assert "registry=" not in (folder / ".npmrc").read_text()


def test_a_package_is_locked_once() -> None:
    locked = [line.partition("==")[0] for name in LOCKS for line in (ROOT / name).read_text().splitlines()]
    assert len(set(locked)) == len(locked)


def test_every_import_is_declared_by_the_part_that_makes_it() -> None:
    """What only the demo or the tests declare is missing where the gateway runs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = {name_of(requirement) for requirement in project["dependencies"]}
    demo, dev = ({name_of(requirement) for requirement in extras[extra]} for extra in ("demo", "dev"))
    owners = owners_of_modules()
    found = [
        f"{file.relative_to(ROOT)} imports {module}"
        for folder, declared in (
            ("gateway", runtime),
            ("gateway/demo", runtime | demo),
            ("tests", runtime | demo | dev),
        )
        for file in sorted((ROOT / folder).rglob("*.py"))
        if folder != "gateway" or "demo" not in file.parts
        for module in sorted(imports_of(file))
        if module in owners and not {normalised(owner) for owner in owners[module]} & declared
    ]
    assert found == []


def test_every_dependency_is_used() -> None:
    # Named in the address of the store; files that zoneinfo and languages.zones read.
    never_imported = {"aiosqlite", "asyncpg", "tzdata"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    owners = owners_of_modules()
    imported = {module for file in (ROOT / "gateway").rglob("*.py") for module in imports_of(file)}
    used = {normalised(owner) for module in imported for owner in owners.get(module, ())} | never_imported
    assert {name_of(requirement) for requirement in project["dependencies"]} <= used


@functools.cache
def imports_of(file: Path) -> frozenset[str]:
    """Return the top-level names that a module imports from elsewhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return frozenset({name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "gateway", "tests"})


owners_of_modules = functools.cache(packages_distributions)


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return normalised(found[0])


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
