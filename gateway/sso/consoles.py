"""Where things are in the consoles of providers that many companies have."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from gateway.model.sentence import Sentence
from gateway.sso.oidc.record import Kind


class Part(Enum):
    """A part of a provider's console."""

    APPLICATION = auto()
    SECRET = auto()
    KEY = auto()
    REDIRECT = auto()
    PEOPLE = auto()
    CONSENT = auto()
    POLICY = auto()
    CLAIMS = auto()


PLACES: Mapping[tuple[Part, Kind], Sentence] = {
    (Part.APPLICATION, Kind.ENTRA): Sentence("Microsoft Entra admin center › App registrations › your application"),
    (Part.SECRET, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Certificates & secrets › Client secrets"
    ),
    (Part.KEY, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Certificates & secrets › Certificates"
    ),
    (Part.REDIRECT, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Authentication › Web"
    ),
    (Part.PEOPLE, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › Enterprise applications › your application › Users and groups"
    ),
    (Part.CONSENT, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › Enterprise applications › your application › Permissions › Grant admin consent"
    ),
    (Part.POLICY, Kind.ENTRA): Sentence("Microsoft Entra admin center › Protection › Conditional Access"),
    (Part.CLAIMS, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Token configuration"
    ),
    (Part.APPLICATION, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › Credentials"),
    (Part.SECRET, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › Credentials › your client"),
    (Part.REDIRECT, Kind.GOOGLE): Sentence(
        "Google Cloud console › APIs & Services › Credentials › your client › Authorised redirect URIs"
    ),
    (Part.PEOPLE, Kind.GOOGLE): Sentence("Google Admin console › Security › API controls › App access control"),
    (Part.CONSENT, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › OAuth consent screen"),
    (Part.APPLICATION, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › General"),
    (Part.SECRET, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Client Credentials"),
    (Part.KEY, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Public keys"),
    (Part.REDIRECT, Kind.OKTA): Sentence(
        "Okta Admin Console › Applications › your application › General › Sign-in redirect URIs"
    ),
    (Part.PEOPLE, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Assignments"),
    (Part.POLICY, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Sign On"),
    (Part.APPLICATION, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Settings"),
    (Part.SECRET, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Credentials"),
    (Part.KEY, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Keys"),
    (Part.REDIRECT, Kind.KEYCLOAK): Sentence(
        "Keycloak admin console › Clients › your client › Settings › Valid redirect URIs"
    ),
    (Part.CLAIMS, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Client scopes"),
    (Part.POLICY, Kind.KEYCLOAK): Sentence("Keycloak admin console › Authentication"),
}


def find_place(place: Part | None, kind: Kind) -> Sentence | None:
    """Return where a part is in the console of a provider, if that is known."""
    return PLACES.get((place, kind)) if place else None
