"""The addresses at which passkeys work, and start-up checks of them.

A passkey works at the RP ID and below it. At the site's other hosts the browser first asks the RP ID's own host for
/.well-known/webauthn, which lists them (related origin requests, WebAuthn L3 §5.11).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from gateway.edge.origin import origins_of
from gateway.factors.passkey import rows
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.settings.values import DOMAIN, rp_ids_for
from gateway.store import Transaction
from gateway.wire.authority import read_authority

MAX_LABELS = 5  # §5.11.1: browsers needn't accept more
# The second level of many countries' domains is a public suffix, like co.uk. A list of all would be one of thousands.
SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "gob", "gouv", "gov", "go", "ne", "net", "or", "org"))


def related_hosts(settings: Settings) -> dict[str, str]:
    """Return the `hosts` that are not below the RP ID: the origin of each, and its name."""
    if not settings.public_url.startswith("https:"):
        return {}
    found = {}
    for host in settings.hosts:
        (origin,) = origins_of("https", [host])
        name = read_authority(host.encode("ascii")) or ""
        if DOMAIN.fullmatch(name) and not f".{name}".endswith(f".{settings.rp_id}"):
            found[origin] = name
    return found


def has_related_hosts(settings: Settings) -> bool:
    return bool(related_hosts(settings))


def advise(settings: Settings) -> Iterator[Said]:
    """Yield a warning for each address at which passkeys can't work."""
    if not rp_ids_for(settings.public_host):
        yield "public_url", f"browsers have no passkeys for an IP address like {settings.public_host}; use a name"
    related = related_hosts(settings)
    refused = list_refused(list(related.values()))
    if refused:
        reason = f"outside {settings.rp_id} browsers accept passkeys under {MAX_LABELS} names, the first ones here"
        yield "hosts", f"{reason} (a.example.com has the name example); they can't be used at {', '.join(refused)}"
    asked = f"https://{settings.rp_id}"
    if related and asked not in origins_of("https", (urlsplit(settings.public_url).netloc, *settings.hosts)):
        reason = f"before they use passkeys at {', '.join(related.values())}, browsers ask {asked}/.well-known/webauthn"
        yield "hosts", f"{reason}; that is no host of this site: have it answer as {settings.public_url} does there"


def list_refused(names: Sequence[str]) -> list[str]:
    """Return the host names that browsers refuse, because too many labels come before theirs."""
    labels = list(dict.fromkeys(filter(None, map(label_of, names))))[:MAX_LABELS]
    return [name for name in names if label_of(name) not in labels]


def label_of(name: str) -> str:
    """Return the registrable origin label (§5.11.1) of a host name, "example" of app.example.com; "" if it has none."""
    *labels, second, top = ["", "", *name.split(".")]
    is_suffix = len(top) == 2 and second in SECOND_LEVEL and labels[-1]
    return labels[-1] if is_suffix else second


async def inspect(tx: Transaction, settings: Settings) -> list[Said]:
    """Return a warning for each other RP ID that passkeys were made for. Browsers offer none of those any more."""
    key = "factors.rp_id" if settings.factors.rp_id else "public_url"
    return [
        (key, describe(number, rp_id, settings)) for rp_id, number in await rows.count_elsewhere(tx, settings.rp_id)
    ]


def describe(number: int, rp_id: str, settings: Settings) -> str:
    found = f"{number} passkey{'s were' if number > 1 else ' was'} made for {rp_id} and can't be used with"
    if rp_id in rp_ids_for(settings.public_host):
        return f'{found} {settings.rp_id}; with factors.rp_id = "{rp_id}" they work again, and those made since don\'t'
    return (
        f"{found} {settings.rp_id}; their owners sign in with another second step or a backup code, and add new ones. "
        "People with neither need an administrator (Sign-in requirements in docs/configuration.md)"
    )
