"""Start-up check: can the stored passkeys be used at the site's present address?"""

from __future__ import annotations

from gateway.factors.passkey import rows
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.settings.values import rp_ids_for
from gateway.store import Transaction


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
        "Who has neither needs an administrator (Sign-in requirements in docs/configuration.md)"
    )
