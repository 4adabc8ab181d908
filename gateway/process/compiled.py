"""The compiled form of the data path: extension modules in the place of sources, if they were made from just these.

`make compile` (bin/compile) compiles MODULES with mypyc into a folder of their own, with a manifest of SHA-256 sums.
`serve` uses them before it imports any of MODULES: all of them, if the manifest matches every source, every compiled
file, this Python and RECIPE, and none otherwise: no test covers a mixture of both forms.

mypyc takes some liberties with the language ("Compiled" in docs/decisions.md names them); tests/compiled compares both
forms. The modules are compiled without the types of any others, so that a change to another source, or to a library,
needs no new compilation.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

MODULES = (
    *("gateway.model.inbound", "gateway.model.memo"),
    *("gateway.wire.authority", "gateway.wire.channel", "gateway.wire.cookies", "gateway.wire.deadlines"),
    *("gateway.wire.http1", "gateway.wire.llhttp", "gateway.wire.target", "gateway.wire.websocket"),
    *("gateway.policy.decision", "gateway.policy.entries", "gateway.policy.paths"),
    *("gateway.throttle.shares", "gateway.observe.access_log"),
    *("gateway.edge.answer", "gateway.edge.client_request", "gateway.edge.connection", "gateway.edge.field_lines"),
    *("gateway.edge.incoming", "gateway.edge.known_lines", "gateway.edge.origin", "gateway.edge.reach"),
    *("gateway.edge.request", "gateway.edge.request_line", "gateway.edge.shared"),
    *("gateway.proxy.connection", "gateway.proxy.exchange", "gateway.proxy.identity", "gateway.proxy.request"),
    *("gateway.proxy.response", "gateway.proxy.upstream"),
    "gateway.dispatch.dispatcher",
)
ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "_compiled"
RECIPE = "mypy 2.4.1, 1"  # of which version, and a number that goes up when bin/compile makes something else of it
LIBRARY = "gateway_data_path__mypyc"  # has the code; each module's own file only finds its part of it
MANIFEST = "manifest.json"
VARIABLE = "GATEWAY_COMPILED"
OFF = "off"


class Manifest(NamedTuple):
    """What was compiled, and how. `sources` and `files` are SHA-256 sums, by module and by path in the folder."""

    python: str
    recipe: str
    sources: dict[str, str]
    files: dict[str, str]


class Form(NamedTuple):
    """Whether the data path is compiled. If there is a folder and it is not used, `problem` says why and what to do."""

    is_compiled: bool
    problem: str = ""

    def __str__(self) -> str:
        return "compiled" if self.is_compiled else "as Python"


def use_compiled(environ: Mapping[str, str]) -> Form:
    """Let MODULES be imported in their compiled form, if there is one for them. None of them may be imported yet."""
    if current().is_compiled:
        return current()
    said = environ.get(VARIABLE, "")
    if said == OFF:
        return Form(False)
    folder = Path(said) if said else FOLDER
    if not os.path.isdir(folder):  # unlike Path.is_dir, also if one may not look
        return Form(False, f"{VARIABLE} names no folder that can be read: {said}" if said else "")
    if early := [name for name in MODULES if name in sys.modules]:
        return Form(False, f"{early[0]} was imported before the compiled modules")
    command = f"{VARIABLE}={said} make compile" if said else "make compile"
    advice = f"run `{command}`, or delete the folder {folder}"
    if problem := mismatch(folder):
        return Form(False, f"{problem}; {advice}")
    finder = CompiledFinder(folder)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(LIBRARY)
    except ImportError as error:  # made on another machine, whose C library is newer
        sys.meta_path.remove(finder)
        return Form(False, f"the compiled modules can't be loaded ({error}); {advice}")
    return Form(True)


def current() -> Form:
    """Return the form in use."""
    return Form(any(isinstance(finder, CompiledFinder) for finder in sys.meta_path))


def mismatch(folder: Path) -> str:
    """Return why the folder's modules are not those of this version, or ""."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text()))
        files = sums({name: folder / name for name in manifest.files})
    except (OSError, ValueError, TypeError) as error:
        return f"the compiled modules are incomplete ({error})"
    if manifest.python != python():
        return f"the modules were compiled for another Python ({manifest.python})"
    if manifest.recipe != RECIPE:
        return f"the modules were compiled with {manifest.recipe}"
    if manifest.sources != sums(sources()):
        return "the modules were compiled for another version of the gateway"
    if manifest.files != files or not files.keys() >= {file_of(name) for name in (*MODULES, LIBRARY)}:
        return "the compiled modules were changed since"
    return ""


class CompiledFinder(MetaPathFinder):
    """Finds the compiled modules of a folder."""

    def __init__(self, folder: Path) -> None:
        self._paths = {name: folder / file_of(name) for name in (*MODULES, LIBRARY)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._paths.get(fullname)
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, str(file)))


def sources() -> dict[str, Path]:
    """Return the source file of each module."""
    return {name: ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in MODULES}


def file_of(name: str) -> str:
    """Return the path of a compiled module in the folder."""
    return name.replace(".", "/") + EXTENSION_SUFFIXES[0]


def python() -> str:
    """Return the version and the binary interface of this Python."""
    return f"{sys.version.split()[0]} {sysconfig.get_config_var('SOABI')}"


def sums(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
