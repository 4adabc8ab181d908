"""The requests that Entra ID and Okta document, one after another, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scim.provider import Provider

SEQUENCES = Path(__file__).parent / "sequences"


def fill(value: Any, known: dict[str, str]) -> Any:
    """Put the ids that were kept into a text, or into the texts of a body."""
    if isinstance(value, dict):
        return {name: fill(item, known) for name, item in value.items()}
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    for name, kept in known.items():
        value = value.replace(f"{{{name}}}", kept) if isinstance(value, str) else value
    return value


def holds(expected: Any, found: Any) -> bool:
    """Whether everything that is expected is there; lists have as many entries."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(name in found and holds(v, found[name]) for name, v in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(holds, expected, found))
    return bool(expected == found) and type(expected) is type(found)


@pytest.mark.parametrize(("name", "steps"), [("entra", 34), ("okta", 19)])
def test_the_documented_requests_are_answered_as_documented(acme: Provider, name: str, steps: int) -> None:
    sequence = json.loads((SEQUENCES / f"{name}.json").read_text())["steps"]
    known: dict[str, str] = {}
    for step in sequence:
        answer = acme.ask(step["method"], fill(step["path"], known), fill(step.get("body"), known))
        assert answer.status == step["status"], (step["name"], answer.body)
        assert holds(fill(step.get("expect", {}), known), answer.body), (step["name"], answer.body)
        assert not set(step.get("absent", ())) & set(answer.body), (step["name"], answer.body)
        if "keep" in step:
            known[step["keep"]] = answer.id
    assert len(sequence) == steps

    kept = acme.gateway.write("SELECT content FROM scim_users")
    assert kept
    assert not any("not-kept" in content for (content,) in kept)
    assert acme.gateway.write(
        "SELECT count(*) FROM accounts WHERE id = :i AND password_hash IS NULL", i=known["user"]
    ) == [(1,)]
