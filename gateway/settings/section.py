"""The base of all tables of gateway.toml."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A table of gateway.toml. Its checks see one key each; `settings.together` compares keys.

    Every key of Settings and its sections has a default, so that wrong keys can be left out and the rest validated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def keep_other_defaults(cls, given: Any) -> Any:
        """Keep the defaults of the other keys where a nested table is given in part."""
        if not isinstance(given, dict):
            return given
        defaults = {
            name: field.default
            for name, field in cls.model_fields.items()
            if isinstance(field.default, Section) and isinstance(given.get(name), dict)
        }
        return {**given, **{name: dict(default) | given[name] for name, default in defaults.items()}}
