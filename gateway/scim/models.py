"""The resources as scim2-models describes them: what /Schemas says, and the check of what providers send.

A user has what an account has, and no more: other attributes (telephone numbers, addresses, the enterprise extension)
are accepted and not kept. Only imported when a provider asks something (see libraries.py).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    Context,
    Error,
    ETag,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from gateway.scim.answers import Refusal
from gateway.scim.patching import Shape

MAX_TEXT = 254  # characters
MAX_EMAILS = 20
MAX_VALUES = 200  # checking takes some microseconds for each
PAGE = 200  # resources
TOLERANT = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)


class Name(ComplexAttribute):
    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class Email(ComplexAttribute):
    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class User(Resource[Any]):
    """An account."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The email address with which the person signs in here, in a domain of the company"""

    display_name: str | None = None
    name: Name | None = None
    emails: list[Email] | None = None
    """Kept as they are sent; nothing is mailed there"""

    active: Annotated[bool | None, Required.true] = None
    """Whether the account is enabled. A request that creates or replaces a user may leave it out"""


class Member(ComplexAttribute):
    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    """A group of accounts."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[Member] | None = None


MODELS: dict[str, type[Resource[Any]]] = {"User": User, "Group": Group}


def check(shape: Shape, given: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return a user or group as it may be kept, with what we know of it. Raises Refusal.

    A user that is sent without `active` is active if new (POST), else has none (PUT).
    """
    known = {name: value for name, value in given.items() if shape.canonical(name)}
    if count(known, MAX_VALUES) > MAX_VALUES:
        raise Refusal(400, f"a resource has at most {MAX_VALUES} values", "tooMany", reason="too_many")
    is_silent = "active" in shape.plain and method != "PATCH" and all(name.lower() != "active" for name in known)
    if is_silent:
        known["active"] = True
    context = Context.RESOURCE_CREATION_REQUEST if method == "POST" else Context.RESOURCE_REPLACEMENT_REQUEST
    try:
        model = MODELS[shape.name].model_validate(
            {**known, "schemas": [shape.schema]}, scim_ctx=context, scim_policy=TOLERANT
        )
    except ValidationError as error:
        told = Error.from_validation_errors(error)[0]
        raise Refusal(400, str(told.detail), told.scim_type or "invalidValue") from error
    resource: dict[str, Any] = model.model_dump(scim_ctx=Context.DEFAULT)
    del resource["schemas"]
    if is_silent and method == "PUT":
        del resource["active"]
    if len(resource.get("emails", ())) > MAX_EMAILS:
        raise Refusal(400, f"a user may have at most {MAX_EMAILS} email addresses", "tooMany")
    for text in texts_of(resource):
        check_text(text)
    return resource


def count(value: Any, most: int) -> int:
    """Return how many values there are in a value, itself among them; something above `most` if there are more."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = 1
    for part in parts:
        if found > most:
            break
        found += count(part, most - found)
    return found


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts_of(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    return [value] if isinstance(value, str) else []


def check_text(text: str) -> None:
    """Raise Refusal for what is too long, or can't be stored."""
    if len(text) > MAX_TEXT or any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        detail = f"a value has at most {MAX_TEXT} characters, and no control characters"
        raise Refusal(400, detail, "invalidValue")


def discover(base: str) -> dict[str, list[dict[str, Any]]]:
    """Return what each endpoint of discovery says (RFC 7644 §4). `base` is the absolute URL of the service."""
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=PAGE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=False),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Token",
                description="A token that an administrator of the company makes",
                primary=True,
            )
        ],
    )
    provider = ScimProvider(models=MODELS.values(), config=config)
    found: dict[str, list[Resource[Any]]] = {
        "ServiceProviderConfig": [config],
        "ResourceTypes": list(provider.resource_types),
        "Schemas": list(provider.schemas),
    }
    return {
        endpoint: [locate(document.model_dump(), endpoint, base) for document in documents]
        for endpoint, documents in found.items()
    }


def locate(document: dict[str, Any], endpoint: str, base: str) -> dict[str, Any]:
    kind = endpoint if endpoint == "ServiceProviderConfig" else endpoint.removesuffix("s")
    location = f"{base}/{endpoint}" + (f"/{document['id']}" if document.get("id") else "")
    return {**document, "meta": {"resourceType": kind, "location": location}}


__all__ = ["PAGE", "Group", "ResourceType", "User", "check", "discover"]
