"""The kinds of authenticators: each signs in as far as it verifies who holds it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, with_passkey

SYNCED, ON_ONE = "Synced between your devices", "On one device only"
VERIFYING: dict[str, tuple[dict[str, object], str]] = {
    "of the laptop": ({}, ON_ONE),
    "synced by a password manager": ({"defaultBackupEligibility": True, "defaultBackupState": True}, SYNCED),
    "not synced yet": ({"defaultBackupEligibility": True}, ON_ONE),
    "of a phone nearby": (
        {"transport": "hybrid", "defaultBackupEligibility": True, "defaultBackupState": True},
        SYNCED,
    ),
    "security key with a PIN": ({"transport": "usb"}, ON_ONE),
    "of CTAP 2.1, held to the reader": ({"transport": "nfc", "ctap2Version": "ctap2_1"}, ON_ONE),
}
SECOND_ONLY: dict[str, dict[str, object]] = {
    "security key without a PIN": {"transport": "usb", "hasUserVerification": False},
    "that keeps nothing": {"transport": "usb", "hasUserVerification": False, "hasResidentKey": False},
    "of U2F": {"protocol": "u2f", "transport": "usb", "hasUserVerification": False, "hasResidentKey": False},
    "that verifies but keeps nothing": {"transport": "ble", "hasResidentKey": False},
}


@pytest.mark.parametrize(
    ("number", "options", "where"),
    [(number, *kind) for number, kind in enumerate(VERIFYING.values(), 30)],
    ids=VERIFYING,
)
def test_one_that_verifies_its_holder_signs_in_by_one_touch(
    person: MakePerson, number: int, options: dict[str, object], where: str
) -> None:
    erin, _ = with_passkey(person, f"crowd{number}@acme.example", **options)
    erin.without_autofill()
    erin.open("/me/security")
    erin.press("Use a passkey")
    erin.is_at("/me/security")
    passkeys = erin.page.get_by_role("region", name="Passkeys")
    expect(passkeys.get_by_text(where)).to_be_visible()
    expect(passkeys.get_by_text("Never")).to_have_count(0)


@pytest.mark.parametrize(("number", "options"), list(enumerate(SECOND_ONLY.values(), 36)), ids=SECOND_ONLY)
def test_one_that_does_not_follows_the_password(person: MakePerson, number: int, options: dict[str, object]) -> None:
    erin, _ = with_passkey(person, f"crowd{number}@acme.example", **options)
    erin.without_autofill()
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_refused()
    erin.give_password()
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_one_that_begins_to_sync_says_so(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd40@acme.example", defaultBackupEligibility=True)
    (credential,) = erin.credentials(laptop)
    erin.tell(laptop, "setCredentialProperties", credentialId=credential["credentialId"], backupState=True)
    erin.open("/me/security")
    erin.is_at("/me/security")  # by autofill
    expect(erin.page.get_by_text(SYNCED)).to_be_visible()
