"""The two kinds of resources: their attributes, and how they are shown. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.scim.patching import Shape, find_name

USER = Shape(
    name="User",
    schema="urn:ietf:params:scim:schemas:core:2.0:User",
    plain=("userName", "externalId", "displayName", "active"),
    complex={"name": ("formatted", "familyName", "givenName")},
    many={"emails": ("value", "type", "primary")},
)
GROUP = Shape(
    name="Group",
    schema="urn:ietf:params:scim:schemas:core:2.0:Group",
    plain=("displayName", "externalId"),
    complex={},
    many={"members": ("value", "type", "display", "$ref")},
)
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ALWAYS = ("schemas", "id")


def write(
    shape: Shape, identity: str, content: Mapping[str, Any], location: str, made: int, changed: int
) -> dict[str, Any]:
    """Return a resource as it is answered. Times are UTC seconds."""
    meta = {
        "resourceType": shape.name,
        "created": moment(made),
        "lastModified": moment(changed),
        "location": location,
    }
    return {"schemas": [shape.schema], "id": identity, **content, "meta": meta}


def moment(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Choice:
    """The attributes that a client asks for (RFC 7644 §3.9); `only` takes precedence over `without`."""

    def __init__(self, shape: Shape, only: str, without: str) -> None:
        self._only = paths_of(shape, only)
        self._without = () if self._only else paths_of(shape, without)

    def has(self, name: str) -> bool:
        """Whether some of an attribute is wanted."""
        if self._only:
            return any(path[0] == name for path in self._only)
        return (name, "") not in self._without

    def cut(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resource with what is wanted of it."""
        shown: dict[str, Any] = {}
        for name, value in resource.items():
            if name in ALWAYS:
                shown[name] = value
            elif self.has(name):
                shown[name] = self._cut_parts(name, value)
        return shown

    def _cut_parts(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._cut_parts(name, item) for item in value]
        if not isinstance(value, dict):
            return value
        wanted = {part for known, part in self._only if known == name}
        unwanted = {part for known, part in self._without if known == name}
        if wanted and "" not in wanted:
            return {part: item for part, item in value.items() if part in wanted}
        return {part: item for part, item in value.items() if part not in unwanted}


def paths_of(shape: Shape, text: str) -> tuple[tuple[str, str], ...]:
    """Return attribute and part of each path in a list; what the resource doesn't have is left out, as is case."""
    found: list[tuple[str, str]] = []
    for path in filter(None, (part.strip() for part in text.split(","))):
        plain = path[len(shape.schema) + 1 :] if path.lower().startswith(f"{shape.schema.lower()}:") else path
        name, _, part = plain.partition(".")
        known = find_name(name, (*shape.names, "meta", *ALWAYS))
        found.append((known or name, find_name(part, shape.parts(known)) or part))
    return tuple(found)


def write_list(resources: Iterable[Any], total: int, start: int) -> dict[str, Any]:
    shown = list(resources)
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(shown),
        "Resources": shown,
    }
