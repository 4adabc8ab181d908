"""Imports point one way: a package imports from those above it in one list, never the reverse."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "gateway"

# Each may import from those before it, and from nothing else of ours. The contract of factors and what they share comes
# before the sign-in that goes through it; each factor's own folder comes after, and is a package of its own.
PACKAGES = [
    "model",
    "languages",
    "wire",
    "policy",
    "store",
    "throttle",
    "observe",
    "crypto",
    "breaches",
    "settings",
    "edge",
    "proxy",
    "web",
    "audit",
    "mail",
    "actions",
    "sessions",
    "browsers",
    "factors",
    "accounts",
    "tokens",
    "page_views",
    "devices",
    "networks",
    "ops",
    "login",
    "factors.*",
    "passwords",
    "signup",
    "tenants",
    "sso",
    "scim",
    "dispatch",
    "app",
    "process",
    "demo",
    "cli",
]
FOUND = {path.name for path in ROOT.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
# A noun that no other noun imports needs no line: it stands right before the composition root.
PACKAGES[PACKAGES.index("app") : PACKAGES.index("app")] = sorted(FOUND - set(PACKAGES))
TOP = ("__init__", "__main__")  # the only modules that are in no package


def modules() -> dict[str, Path]:
    """Return every module by its name, without "gateway."; a package's own is its `__init__`."""
    paths = (path for path in ROOT.rglob("*.py") if "migrations" not in path.parts)
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(paths)}


MODULES = modules()


def imports_of(name: str) -> Iterator[str]:
    """Yield the modules that one imports, wherever in its file: for type checkers and inside functions as well."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] == "gateway":
            package = node.module.removeprefix("gateway").removeprefix(".")
            for alias in node.names:
                below = f"{package}.{alias.name}" if package else alias.name
                yield next(
                    found
                    for found in (below, f"{below}.__init__", package, f"{package}.__init__", "__init__")
                    if found in MODULES
                )


def package_of(name: str) -> str:
    """Return the entry of the list that a module belongs to."""
    parts = name.split(".")
    return f"{parts[0]}.*" if len(parts) > 2 and f"{parts[0]}.*" in PACKAGES else parts[0]


def test_every_package_has_its_place_in_the_list() -> None:
    assert len(set(PACKAGES)) == len(PACKAGES)
    assert {package for package in PACKAGES if not package.endswith(".*")} == FOUND
    assert {path.stem for path in ROOT.glob("*.py")} == set(TOP)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in TOP])
def test_a_module_imports_from_its_own_package_or_from_those_before_it(name: str) -> None:
    allowed = {*PACKAGES[: PACKAGES.index(package_of(name)) + 1], "__init__"}
    assert [found for found in imports_of(name) if package_of(found) not in allowed] == []


def test_no_factor_imports_another_ones_folder() -> None:
    folders = {name: name.split(".")[1] for name in MODULES if package_of(name) == "factors.*"}
    assert len(set(folders.values())) > 3
    others = [
        (name, found)
        for name, folder in folders.items()
        for found in imports_of(name)
        if folders.get(found, folder) != folder
    ]
    assert others == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = graphlib.TopologicalSorter({name: set(imports_of(name)) - {name} for name in MODULES}).static_order()
    assert set(order) == set(MODULES)


def test_the_pure_modules_touch_no_clock_no_chance_no_network() -> None:
    pure = [
        "policy/decision",
        "wire/http1",
        "edge/request_line",
        "wire/target",
        "wire/cookies",
        "wire/authority",
        "web/return_to",
        "model/factor",
        "model/session",
        "proxy/response",
        "sso/oidc/addresses",
        "sso/oidc/claims",
        "sso/oidc/compact",
        "sso/oidc/discovery",
        "sso/oidc/encoding",
        "sso/oidc/entra",
        "sso/oidc/id_token",
        "sso/oidc/request",
    ]
    forbidden = {"time", "random", "secrets", "os", "socket", "asyncio", "datetime"}
    for name in pure:
        tree = ast.parse((ROOT / f"{name}.py").read_text())
        used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not used & forbidden, (name, used & forbidden)
