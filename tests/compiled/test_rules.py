"""What the compiled modules must not contain, because mypyc makes something else of it ("Compiled" in docs/decisions.md)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from gateway.process.compiled import sources
from tests.compiled.forms import PATIENCE

pytestmark = pytest.mark.timeout(PATIENCE)
Rule = Callable[[ast.AST, dict[str, Any]], bool]


def is_coroutine(node: ast.AST, _: dict[str, Any]) -> bool:
    return isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)


def is_slice_with_both_ends(node: ast.AST, _: dict[str, Any]) -> bool:
    """`x[a:b]`, whose end may lie before its beginning."""
    return isinstance(node, ast.Slice) and node.lower is not None and node.upper is not None


def is_identity(node: ast.AST, names: dict[str, Any]) -> bool:
    """`x is y`, unless y is None or the member of an enum: the identity of a number or a tuple is not kept."""
    return isinstance(node, ast.Compare) and any(
        isinstance(operator, ast.Is | ast.IsNot) and not is_one_of_a_kind(side, names)
        for operator, side in zip(node.ops, node.comparators, strict=True)
    )


def is_one_of_a_kind(side: ast.expr, names: dict[str, Any]) -> bool:
    match side:
        case ast.Constant(None):
            return True
        case ast.Name(name):
            return name.isupper() and isinstance(names.get(name), Enum)
        case ast.Attribute(ast.Name(kind), name):
            return isinstance(getattr(names.get(kind), name, None), Enum)
    return False


# What is there all the same, in each module, and can do no harm: ends that lie behind their beginning, and objects.
ALLOWED: dict[Rule, dict[str, set[str]]] = {
    is_coroutine: {},
    is_slice_with_both_ends: {"gateway.wire.http1": {"at:at + self._left", "at:at + 2", "at:end"}},
    is_identity: {"gateway.proxy.identity": {"told.session is session"}},
}


def found_in(source: str, names: dict[str, Any], rule: Rule) -> set[str]:
    return {ast.unparse(node) for node in ast.walk(ast.parse(source)) if rule(node, names)}


@pytest.mark.parametrize("rule", ALLOWED)
def test_no_compiled_module_breaks_a_rule(rule: Rule) -> None:
    assert len(sources()) > 20
    modules = {name: vars(importlib.import_module(name)) for name in sources()}
    found = {name: found_in(path.read_text(), modules[name], rule) for name, path in sources().items()}
    assert {name: nodes for name, nodes in found.items() if nodes} == ALLOWED[rule]


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (is_coroutine, "async def f(): ..."),
        *((is_slice_with_both_ends, f"x[{ends}]") for ends in ("a:-1", "a:len(x)-1", "a:b", "a:END", "0:2:1")),
        *((is_identity, f"x is {side}") for side in ("NEVER", "self._never", "1", "True", "y", "Kind", "BUSY.value")),
        *((is_identity, source) for source in ("x is not NEVER", "x is None is y")),
    ],
)
def test_each_rule_finds_what_it_is_about(rule: Rule, source: str) -> None:
    names = {"NEVER": 1.5, "BUSY": Kind.BUSY, "Kind": Kind}
    assert len(found_in(source, names, rule)) == 1
    assert found_in("x[:-1], x[a:], x is None, x is not BUSY, x is Kind.BUSY, x == NEVER", names, rule) == set()


class Kind(Enum):
    BUSY = 1
