"""Attestation: a signature by which the maker of an authenticator vouches for its model (WebAuthn L3 §6.5).

Two formats are read: "none", and "packed", which is that of security keys. Browsers send others only if a site asks for
attestation; and where a site demands a model, the others don't prove it. In "tpm", "android-key" and "apple" it is the
computer or phone that vouches for a key, while the AAGUID comes from software on it; "fido-u2f" has no AAGUID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.factors.passkey.encoding import decode_cbor, malformed
from gateway.factors.passkey.record import Refusal, Rejected

MAX_CERTIFICATES = 8
ATTESTED_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")  # id-fido-gen-ce-aaguid
OCTET_STRING_OF_16 = b"\x04\x10"


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attestation object (WebAuthn L3 §6.5.4)."""

    format: str
    statement: Mapping[int | str, object]
    authenticator_data: bytes


def read_attestation(data: bytes) -> Attestation:
    match decode_cbor(data):
        case {"fmt": str(form), "attStmt": dict(statement), "authData": bytes(authenticator_data)}:
            return Attestation(form, statement, authenticator_data)
        case _:
            raise malformed()


def check_format(attestation: Attestation) -> None:
    """§7.1 step 21, and for "none" step 22 (§8.7). The library does the rest of step 22."""
    is_none = attestation.format == "none" and not attestation.statement
    if not is_none and attestation.format != "packed":
        raise Rejected(Refusal.ATTESTATION)


def check_model(attestation: Attestation, aaguid: bytes, allowed: Collection[str], roots: Sequence[bytes]) -> None:
    """Demand an authenticator of a model in `allowed`, with certificates up to one of `roots` (§7.1 steps 23 and 24).

    `roots` are PEM, one or more certificates each. Whether they are valid today is for OpenSSL to say.
    """
    certificates = attestation.statement.get("x5c")
    if attestation.format != "packed" or not isinstance(certificates, list) or not certificates:
        raise Rejected(Refusal.ATTESTATION)  # "none", or self attestation: signed by the new key itself
    # Without roots, the library takes any certificate for good.
    if str(UUID(bytes=aaguid)) not in allowed or not roots or len(certificates) > MAX_CERTIFICATES:
        raise Rejected(Refusal.ATTESTATION)
    try:
        is_fit = _is_fit(x509.load_der_x509_certificate(certificates[0]), aaguid)
        _check_chain(certificates, roots)
    except Exception:  # what a strange certificate makes the libraries raise is not documented
        raise Rejected(Refusal.ATTESTATION) from None
    if not is_fit:
        raise Rejected(Refusal.ATTESTATION)


def _is_fit(certificate: x509.Certificate, aaguid: bytes) -> bool:
    """Check an attestation certificate (WebAuthn L3 §8.2, §8.2.1), which the library does not."""
    units = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    return (
        certificate.version is x509.Version.v3
        and units == ["Authenticator Attestation"]
        and not constraints.ca
        and all(_is_for(each, aaguid) for each in certificate.extensions if each.oid == ATTESTED_AAGUID)
    )


def _is_for(extension: x509.Extension[x509.ExtensionType], aaguid: bytes) -> bool:
    """Whether an extension that names a model names this one, and is not marked critical."""
    value = extension.value
    return (
        isinstance(value, x509.UnrecognizedExtension)
        and value.value == OCTET_STRING_OF_16 + aaguid
        and not extension.critical
    )


def _check_chain(certificates: list[bytes], roots: Sequence[bytes]) -> None:
    # Imported when used: see ceremony.load.
    from webauthn.helpers import validate_certificate_chain

    trusted = [each.public_bytes(Encoding.PEM) for pem in roots for each in x509.load_pem_x509_certificates(pem)]
    validate_certificate_chain(x5c=certificates, pem_root_certs_bytes=trusted)
