"""Registers passkeys."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gateway.crypto.sealing import Sealer
from gateway.factors.contract import Done, Folder
from gateway.factors.passkey import addresses, models
from gateway.factors.passkey.addresses import advise
from gateway.factors.passkey.ceremony import Site
from gateway.factors.passkey.challenges import Challenges
from gateway.factors.passkey.factor import PasskeyFactor
from gateway.factors.passkey.routes import PAGES
from gateway.factors.passkey.rows import STORED
from gateway.mail.samples import ABOUT
from gateway.model.sentence import Sentence
from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.store import Transaction


class Needs(Protocol):
    @property
    def origins(self) -> frozenset[str]: ...
    @property
    def product(self) -> str: ...
    @property
    def sealer(self) -> Sealer: ...
    @property
    def settings(self) -> Settings: ...


def build(needs: Needs) -> PasskeyFactor:
    is_first = bool(needs.settings.factors.passwordless)
    settings = needs.settings
    site = Site(settings.rp_id, needs.origins, is_shared=settings.rp_id != settings.public_host)
    file = settings.factors.attestation_roots
    roots = (Path(file).read_bytes(),) if file else ()
    return PasskeyFactor(Challenges(needs.sealer), site, needs.product, is_first=is_first, roots=roots)


async def inspect(tx: Transaction, settings: Settings) -> list[Said]:
    return [*await addresses.inspect(tx, settings), *await models.inspect(tx, settings)]


FACTOR = Folder(
    PasskeyFactor,
    build,
    (PAGES,),
    STORED,
    advise,
    inspect,
    mails={
        "passkey_added": {**ABOUT, "passkey": "iCloud Keychain"},
        "passkey_renamed": {**ABOUT, "passkey": "My key", "before": "YubiKey 5 Series"},
        "passkey_removed": {**ABOUT, "passkey": "iCloud Keychain"},
        "passkey_went_back": {**ABOUT, "passkey": "YubiKey 5 Series"},
        "passkeys_only_enabled": ABOUT,
        "passkeys_only_disabled": ABOUT,
    },
    done={
        "passkey-added": Done((Sentence("Passkey added. From now on you can use it to sign in."),), goes_on=True),
        "passkey-renamed": Done((Sentence("Passkey renamed."),), frees_devices=False),
        "passkey-removed": Done(
            (
                Sentence("Passkey removed. Delete it on your device or security key as well."),
                Sentence(
                    "Other devices where you used a passkey will ask you to confirm it’s you. If you lost this passkey"
                    " or don’t recognise it, sign out all other devices."
                ),
            )
        ),
        "passkeys-only": Done((Sentence("From now on, only your passkeys are accepted."),)),
        "passkeys-and-others": Done((Sentence("Other ways to sign in are accepted again."),)),
    },
)
