"""Imports point one way: from what composes down to what is composed, never up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gateway"

# From the top down; a module may import from its own layer and from those below it.
LAYERS: list[set[str]] = [
    {"__main__", "app.explain", "cli", "demo"},
    {"process.worker"},
    {"app.gateway"},
    {"app.wiring"},
    {"app.account_wiring"},
    {"web.routes"},
    {
        "app.backup",
        "app.retention",
        "dispatch.dispatcher",
        "dispatch.forms.late",
        "dispatch.forward_auth",
        "dispatch.reauthorisation",
        "observe.access_log",
        "process.children",
        "process.supervisor",
    },
    {
        "observe",
        "observe.board",
        "observe.exposition",
        "observe.families",
        "observe.figures",
        "observe.health",
        "observe.lag",
        "observe.listener",
        "observe.pulse",
        "observe.tally",
        "observe.traffic",
    },
    {"audit.pages", "ops.pages"},
    {
        "accounts.csv_import.pages",
        "accounts.email_pages",
        "accounts.pages",
        "devices.pages",
        "passwords.pages",
        "signup.pages",
        "tenants.pages",
    },
    {"dispatch.forms.pages", "dispatch.forms.service", "web.application"},
    {
        "browsers.learning",
        "login",
        "login.answers",
        "login.code_pages",
        "login.commands",
        "login.counting",
        "login.evidence",
        "login.flow",
        "login.guard",
        "login.link_pages",
        "login.links",
        "login.outcome",
        "login.pages",
        "login.qr",
        "login.security",
        "login.security_pages",
        "login.service",
    },
    {"web.rendering"},
    {"web.visit"},
    {"devices.new_device", "devices.service"},
    {"devices.revoke_link"},
    {"accounts.csv_import.importer"},
    {"accounts.people", "passwords.changes", "signup.service"},
    {"accounts.email_change"},
    {"accounts.csv_import.rows", "accounts.invitations"},
    {"accounts.app_sync.database", "accounts.app_sync.service"},
    {"accounts.app_sync.rows"},
    {"accounts.app_sync.plan"},
    {"accounts.change", "accounts.csv_import.reading"},
    {"accounts.email_outcome"},
    {"accounts.email_changes", "accounts.removal", "accounts.spelling"},
    {"ops.service"},
    {"audit.asked", "audit.export", "audit.labels"},
    {"audit.keeping", "audit.verify"},
    {"audit.marks", "audit.picture", "ops.failed_passwords"},
    {"audit.search"},
    {"proxy"},
    {"edge.connection", "edge.field_lines", "edge.origin", "edge.reach", "edge.request", "web.return_to"},
    {"edge.incoming"},
    {"process.preflight"},
    {
        "settings",
        "settings.access",
        "settings.header_template",
        "settings.load",
        "settings.mistakes",
        "settings.record",
        "settings.together",
        "settings.values",
    },
    {"policy"},
    {"accounts.links", "dispatch.forms.rows"},
    {"dispatch.forms.record"},
    {
        "crypto",
        "factors",
        "mail",
        "observe.logs",
        "observe.refusals",
        "passwords",
        "passwords.breach_api",
        "passwords.breaches",
        "passwords.constant_work",
        "passwords.guesses",
        "passwords.hashes",
        "passwords.hashing",
        "passwords.policy",
        "passwords.service",
        "process.secrets",
        "throttle",
        "throttle.client",
        "throttle.shares",
        "throttle.turns",
        "web.form_data",
    },
    {"devices.live"},
    {"accounts.directory", "devices.reach"},
    {
        "accounts.rows",
        "audit.counting",
        "audit.rows",
        "browsers.rows",
        "devices.rows",
        "login.attempt",
        "ops.blocks",
        "ops.rows",
        "tenants.claims",
        "throttle.limits",
        "throttle.streaks",
    },
    {"store"},
    {
        "audit.chain",
        "browsers.record",
        "devices.device",
        "edge.request_line",
        "model.event",
        "model.inbound",
        "process.sockets",
        "throttle.side_work",
        "throttle.slices",
        "wire",
    },
    {"model.session"},
    {"model.account", "model.factor", "model.secret", "settings.places"},
    {
        "",
        "accounts",
        "accounts.app_sync",
        "accounts.csv_import",
        "app",
        "audit",
        "browsers",
        "devices",
        "dispatch",
        "dispatch.forms",
        "edge",
        "model",
        "ops",
        "process",
        "signup",
        "tenants",
        "web",
    },
]

PACKAGES = LAYERS[-1]  # themselves: nothing but what they are for


def layer_of(module: str) -> int:
    """Return the place of the longest name that `module` (without "gateway.") is or lies under."""
    names = module.split(".")
    for length in range(len(names), 0, -1):
        name = ".".join(names[:length])
        for place, layer in enumerate(LAYERS):
            if name in layer and (length == len(names) or name not in PACKAGES):
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
    ]
    forbidden = {"time", "random", "secrets", "os", "socket", "asyncio", "datetime"}
    for name in pure:
        tree = ast.parse((ROOT / f"{name}.py").read_text())
        used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not used & forbidden, (name, used & forbidden)
