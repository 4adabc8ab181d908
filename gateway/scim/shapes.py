"""The two kinds of resources: their attributes, and how they are shown. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.model.clock import write_utc
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
EVERYTHING = frozenset(("",))
NOTHING = frozenset[str]()


def write(
    shape: Shape, identity: str, content: Mapping[str, Any], location: str, made: int, changed: int
) -> dict[str, Any]:
    """Return a resource as it is answered. Times are UTC seconds."""
    meta = {
        "resourceType": shape.name,
        "created": write_utc(made),
        "lastModified": write_utc(changed),
        "location": location,
    }
    return {"schemas": [shape.schema], "id": identity, **content, "meta": meta}


class Choice:
    """The attributes that a client asks for (RFC 7644 §3.9); `only` takes precedence over `without`.

    Both are by attribute, with the parts that are meant; "" is for all of it.
    """

    def __init__(self, shape: Shape, only: str, without: str) -> None:
        self._only = parts_by_name(shape, only)
        self._without = {} if self._only else parts_by_name(shape, without)

    def has(self, name: str) -> bool:
        """Whether some of an attribute is wanted."""
        return name in self._only if self._only else "" not in self._without.get(name, ())

    def cut(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resource with what is wanted of it."""
        shown: dict[str, Any] = {}
        for name, value in resource.items():
            if name in ALWAYS:
                shown[name] = value
            elif self.has(name):
                wanted, unwanted = self._only.get(name, EVERYTHING), self._without.get(name, NOTHING)
                shown[name] = value if wanted is EVERYTHING and not unwanted else cut_parts(value, wanted, unwanted)
        return shown


def cut_parts(value: Any, wanted: Collection[str], unwanted: Collection[str]) -> Any:
    if isinstance(value, list):
        return [cut_parts(item, wanted, unwanted) for item in value]
    if not isinstance(value, dict) or ("" in wanted and not unwanted):
        return value
    return {part: item for part, item in value.items() if part not in unwanted and ("" in wanted or part in wanted)}


def parts_by_name(shape: Shape, text: str) -> dict[str, set[str]]:
    """Return the paths in a list, by attribute. Names ignore case; what the resource doesn't have is kept as it is."""
    found: dict[str, set[str]] = {}
    for path in filter(None, (part.strip() for part in text.split(","))):
        plain = path[len(shape.schema) + 1 :] if path.lower().startswith(f"{shape.schema.lower()}:") else path
        name, _, part = plain.partition(".")
        known = find_name(name, (*shape.names, "meta", *ALWAYS)) or name
        found.setdefault(known, set()).add(find_name(part, shape.parts(known)) or part)
    return found


def write_list(resources: Iterable[Any], total: int, start: int) -> dict[str, Any]:
    shown = list(resources)
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(shown),
        "Resources": shown,
    }
