"""Imports point one way: from what composes down to what is composed, never up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gateway"

# From the top down; a module may import from its own layer and from those below it.
LAYERS: list[set[str]] = [
    {"__main__", "cli", "explain", "demo"},
    {"worker"},
    {"app"},
    {"wiring"},
    {"account_wiring"},
    {"routes"},
    {"serve", "processes", "front", "forward_auth", "forms.late", "revocation", "access_log", "purge", "backup"},
    {"admin"},
    {"attacks.pages", "audit.pages"},
    {
        "accounts.pages",
        "accounts.import_pages",
        "accounts.password_pages",
        "accounts.signup_pages",
        "accounts.tenants",
        "accounts.email_pages",
        "sessions.pages",
    },
    {"desk", "forms.pages", "forms.service"},
    {"login", "browsers.learning"},
    {"pages"},
    {"visit"},
    {"sessions.new_device", "sessions.service"},
    {"sessions.revoke_link"},
    {"accounts.importer"},
    {"accounts.passwords", "accounts.signup", "accounts.people"},
    {"accounts.email_change"},
    {"accounts.invitations", "accounts.imports"},
    {"accounts.app_database", "accounts.app_import"},
    {"accounts.imported"},
    {"accounts.app_users"},
    {"accounts.bulk", "accounts.change"},
    {"accounts.email_outcome"},
    {"accounts.email_changes", "accounts.removal", "accounts.spelling"},
    {"attacks.service"},
    {"audit.asked", "audit.export", "audit.labels"},
    {"audit.keeping", "audit.verify"},
    {"audit.marks", "audit.picture", "attacks.failed_passwords"},
    {"audit.search"},
    {
        "proxy.connection",
        "proxy.dial",
        "proxy.exchange",
        "proxy.identity",
        "proxy.request",
        "proxy.response",
        "proxy.upstream",
    },
    {"edge.connection", "edge.field_lines", "edge.request", "edge.reach", "edge.origin", "edge.return_to"},
    {"edge.incoming"},
    {"startup"},
    {"settings"},
    {"gate"},
    {"accounts.links", "forms.rows"},
    {"forms.record"},
    {"factors", "hashing", "logs", "keys", "mail", "passwords", "sealed", "sealing", "sent", "throttle"},
    {"sessions.live"},
    {"accounts.directory", "sessions.reach"},
    {
        "limits",
        "streaks",
        "login.attempt",
        "accounts.rows",
        "accounts.claims",
        "sessions.rows",
        "audit.rows",
        "audit.counting",
        "attacks.rows",
        "attacks.blocks",
        "browsers.rows",
    },
    {"store"},
    {
        "sessions.device",
        "browsers.record",
        "slices",
        "side_work",
        "edge.inbound",
        "edge.names",
        "edge.cookies",
        "edge.request_line",
        "edge.target",
        "edge.authority",
        "failures",
        "deadlines",
        "http1",
        "audit.chain",
        "sockets",
        "audit.events",
    },
    {"sessions.record"},
    {"accounts.record", "factors.record", "secret", "places"},
    {"edge", "proxy", "accounts", "sessions", "audit", "attacks", "forms", "browsers", ""},
]


def layer_of(module: str) -> int:
    """Return the place of the longest name that `module` (without "gateway.") is or lies under."""
    names = module.split(".")
    for length in range(len(names), 0, -1):
        name = ".".join(names[:length])
        for place, layer in enumerate(LAYERS):
            if name in layer and (
                length == len(names)
                or name not in ("edge", "proxy", "accounts", "sessions", "audit", "attacks", "forms", "browsers")
            ):
                return place
    raise AssertionError(f"{module} has no layer: give it one in LAYERS")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "versions" in parts or "migrations" in parts:
            continue
        yield ".".join(part for part in parts if part != "__init__"), path


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gateway":
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("gateway").removeprefix(".")
                is_module = (ROOT / name.replace(".", "/")).with_suffix(".py").exists() or (
                    ROOT / name.replace(".", "/")
                ).is_dir()
                yield name if is_module else node.module.removeprefix("gateway").removeprefix("."), node.lineno


@pytest.mark.parametrize(
    ("module", "path"), [m for m in modules() if m[0]], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_module_imports_from_its_own_layer_or_from_below(module: str, path: Path) -> None:
    here = layer_of(module)
    upward = [f"{path.name}:{line} imports {name}" for name, line in imports_of(path) if name and layer_of(name) < here]
    assert upward == []


def test_the_pure_modules_touch_no_clock_no_chance_no_network() -> None:
    pure = [
        "gate",
        "http1",
        "edge/request_line",
        "edge/target",
        "edge/cookies",
        "edge/authority",
        "edge/return_to",
        "factors/record",
        "sessions/record",
        "proxy/response",
    ]
    forbidden = {"time", "random", "secrets", "os", "socket", "asyncio", "datetime"}
    for name in pure:
        tree = ast.parse((ROOT / f"{name}.py").read_text())
        used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not used & forbidden, (name, used & forbidden)
