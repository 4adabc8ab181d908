"""What the compiled modules must not contain, because mypyc makes something else of it ("Compiled" in docs/decisions.md)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from gateway.process.compiled import sources

UNBOXED = (int, float, tuple, str, bytes)  # whose identity is not kept


def is_coroutine(node: ast.AST, _: dict[str, Any]) -> bool:
    return isinstance(node, ast.AsyncFunctionDef | ast.Await)


def is_backward_slice(node: ast.AST, _: dict[str, Any]) -> bool:
    """`x[a:-1]`, whose end may lie before its beginning."""
    return isinstance(node, ast.Slice) and node.lower is not None and isinstance(node.upper, ast.UnaryOp)


def is_identity_of_a_number(node: ast.AST, names: dict[str, Any]) -> bool:
    if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
        return False
    values = [names.get(side.id) for side in (node.left, *node.comparators) if isinstance(side, ast.Name)]
    constants = [side.value for side in node.comparators if isinstance(side, ast.Constant)]
    return any(isinstance(value, UNBOXED) and not isinstance(value, Enum) for value in (*values, *constants))


RULES = (is_coroutine, is_backward_slice, is_identity_of_a_number)


def found_in(source: str, names: dict[str, Any], rule: Callable[[ast.AST, dict[str, Any]], bool]) -> list[str]:
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if rule(node, names)]


@pytest.mark.parametrize("rule", RULES)
def test_no_compiled_module_breaks_a_rule(rule: Callable[[ast.AST, dict[str, Any]], bool]) -> None:
    assert len(sources()) > 20
    modules = {name: vars(importlib.import_module(name)) for name in sources()}
    found = {name: found_in(path.read_text(), modules[name], rule) for name, path in sources().items()}
    assert {name: nodes for name, nodes in found.items() if nodes} == {}


@pytest.mark.parametrize(
    ("rule", "source"),
    [(is_coroutine, "async def f(): ..."), (is_backward_slice, "x[a:-1]"), (is_identity_of_a_number, "x is NEVER")],
)
def test_each_rule_finds_what_it_is_about(rule: Callable[[ast.AST, dict[str, Any]], bool], source: str) -> None:
    assert len(found_in(source, {"NEVER": 1.5}, rule)) == 1
    assert found_in("x[:-1], x[a:b], x is None, x is BUSY", {"BUSY": RuleEnum.BUSY}, rule) == []


class RuleEnum(Enum):
    BUSY = 1
