"""Mistakes in the settings, explained to the operator: where, why, and how to correct them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ValidationError

from gateway.settings.record import FROM_ELSEWHERE

Said = tuple[str, str]  # the key, and the reason with advice
Place = tuple[int | str, ...]

ENUM = re.compile(r"<\w+\.\w+: ('[^']*')>")  # how pydantic shows a member: with its class
NUMBER = "must be a whole number"
TABLE = "must be a table, like { name = … }, or a section of its own"
MESSAGES = {
    "tuple_type": "must be a list, even with one entry: [ … ]",
    "dict_type": TABLE,
    "model_type": TABLE,
    "string_type": 'must be text, in "quotes"',
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_from_float": NUMBER,
    "int_parsing": NUMBER,
    "int_type": NUMBER,
    "missing": "is required",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `file` is a path or "environment"; `key` is "" if the whole file is affected."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


class BadSettings(Exception):
    """Every mistake that was found. Nothing has been changed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    """Yield the place of each pydantic error, and its reason in plain words."""
    for detail in error.errors(include_input=False, include_url=False):
        yield detail["loc"], reason_of(model, detail["type"], detail["msg"], detail["loc"])


def reason_of(model: type[BaseModel], kind: str, message: str, place: Place) -> str:
    if kind == "extra_forbidden":
        names = names_at(model, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), names, n=1)
        return (
            f"there is no such key; did you mean {near[0]}?"
            if near
            else f"there is no such key; there are {', '.join(names)}"
        )
    return MESSAGES.get(kind) or ENUM.sub(r"\1", message).removeprefix("Value error, ").removeprefix("Input ")


def names_at(model: type[BaseModel], place: Place) -> list[str]:
    """Return the keys of the table at `place`, possibly an entry of a list of tables."""
    for part in place:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next(kind for kind in (annotation, *get_args(annotation)) if is_model(kind))
    return [name for name in model.model_fields if name not in FROM_ELSEWHERE]


def is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def key_of(place: Place) -> str:
    """Return a key as shown to people: `rules (2nd entry).roles (1st entry)`."""
    parts = (f" ({nth(part + 1)} entry)" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def is_within(key: str, table: str) -> bool:
    """Whether `key` is `table` or inside it."""
    return key == table or key.startswith((f"{table}.", f"{table} ("))
