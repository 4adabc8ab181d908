"""Reads lists of networks from forms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.account import Role
from gateway.model.inbound import Inbound
from gateway.model.network_rule import EVERYONE, Mistake, Range, Ranges, check, read_typed
from gateway.model.networks import read_network
from gateway.throttle.limits import address_bucket
from gateway.throttle.slices import Slices
from gateway.web.visit import Form

FIELDS: Mapping[str, str] = {"everyone": EVERYONE, **{role.value: role.value for role in Role}}
"""The fields of a tenant's form, and the section that each fills."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The field that is wrong, and why."""

    field: str
    mistake: Mistake


async def read_lists(texts: Mapping[str, str], now: int) -> dict[str, Ranges] | Problem:
    """Return the list in each of the fields. `now` is UTC seconds."""
    slices, found = Slices(), dict[str, Ranges]()
    for field, text in texts.items():
        try:
            found[field] = read_typed(text)
            check(found[field], now)
        except Mistake as mistake:
            return Problem(field, mistake)
        await slices.pause()
    return found


def texts_of(form: Form, inbound: Inbound, role: Role) -> dict[str, str]:
    """Return the fields of a tenant's form, with the client's address where the author's role needs it, if asked."""
    texts = {field: form.text(field) for field in FIELDS}
    if form.text("add"):
        needed = role.value if texts[role.value].strip() else "everyone"
        texts[needed] = with_address(texts[needed], inbound)
    return texts


def text_of(form: Form, inbound: Inbound) -> str:
    """Return the field of an account's form, with the client's address, if asked."""
    text = form.text("networks")
    return with_address(text, inbound) if form.text("add") else text


def with_address(text: str, inbound: Inbound) -> str:
    """Add a line for the client: its address, of IPv6 its /64, since browsers change theirs within that."""
    network = read_network(address_bucket(inbound.address))
    if network is None:
        return text
    line = str(Range(network))
    return text if line in text.splitlines() else "\n".join(filter(None, (text.rstrip(), line)))
