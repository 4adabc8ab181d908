"""Functions, classes and modules of gateway/ stay short, unless their docstring says "Long because" and why.

Migrations are left out: each is a list of statements, and is never edited.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent / "gateway"
MOST_LINES = {ast.Module: 350, ast.ClassDef: 300, ast.FunctionDef: 60, ast.AsyncFunctionDef: 60}
REASON = "Long because "

Sized = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def sizes(source: str) -> Iterator[tuple[str, Sized, int]]:
    """Yield the name of a module ("") and of everything in it, its node, and its lines."""
    tree = ast.parse(source)
    yield "", tree, len(source.splitlines())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node, (node.end_lineno or 0) - node.lineno + 1


def too_long(source: str) -> list[tuple[str, int]]:
    return [
        (name, lines)
        for name, node, lines in sizes(source)
        if lines > MOST_LINES[type(node)] and REASON not in " ".join((ast.get_docstring(node) or "").split())
    ]


def test_nothing_is_long_without_a_reason() -> None:
    paths = [path for path in sorted(ROOT.rglob("*.py")) if "migrations" not in path.parts]
    assert len(paths) > 200
    found = {str(path.relative_to(ROOT)): too_long(path.read_text()) for path in paths}
    assert {name: long for name, long in found.items() if long} == {}


def test_a_function_of_61_lines_is_found_and_one_with_a_reason_is_not() -> None:
    body = "    pass\n" * 60
    assert too_long(f"def long():\n{body}") == [("long", 61)]
    assert too_long(f'def long():\n    """Long because it is a table."""\n{body}') == []
    assert too_long(f"class Short:\n{body}") == []
