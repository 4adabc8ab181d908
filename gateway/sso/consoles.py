"""Where things are in the consoles of providers that many companies have."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from gateway.model.sentence import Sentence
from gateway.sso.oidc.record import Kind


class Place(Enum):
    """A part of a provider's console."""

    APPLICATION = auto()
    SECRET = auto()
    KEY = auto()
    REDIRECT = auto()
    PEOPLE = auto()
    CONSENT = auto()
    POLICY = auto()
    CLAIMS = auto()


PLACES: Mapping[tuple[Place, Kind], Sentence] = {
    (Place.APPLICATION, Kind.ENTRA): Sentence("Microsoft Entra admin center › App registrations › your application"),
    (Place.SECRET, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Certificates & secrets › Client secrets"
    ),
    (Place.KEY, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Certificates & secrets › Certificates"
    ),
    (Place.REDIRECT, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Authentication › Web"
    ),
    (Place.PEOPLE, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › Enterprise applications › your application › Users and groups"
    ),
    (Place.CONSENT, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › Enterprise applications › your application › Permissions › Grant admin consent"
    ),
    (Place.POLICY, Kind.ENTRA): Sentence("Microsoft Entra admin center › Protection › Conditional Access"),
    (Place.CLAIMS, Kind.ENTRA): Sentence(
        "Microsoft Entra admin center › App registrations › your application › Token configuration"
    ),
    (Place.APPLICATION, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › Credentials"),
    (Place.SECRET, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › Credentials › your client"),
    (Place.REDIRECT, Kind.GOOGLE): Sentence(
        "Google Cloud console › APIs & Services › Credentials › your client › Authorised redirect URIs"
    ),
    (Place.PEOPLE, Kind.GOOGLE): Sentence("Google Admin console › Security › API controls › App access control"),
    (Place.CONSENT, Kind.GOOGLE): Sentence("Google Cloud console › APIs & Services › OAuth consent screen"),
    (Place.APPLICATION, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › General"),
    (Place.SECRET, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Client Credentials"),
    (Place.KEY, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Public keys"),
    (Place.REDIRECT, Kind.OKTA): Sentence(
        "Okta Admin Console › Applications › your application › General › Sign-in redirect URIs"
    ),
    (Place.PEOPLE, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Assignments"),
    (Place.POLICY, Kind.OKTA): Sentence("Okta Admin Console › Applications › your application › Sign On"),
    (Place.APPLICATION, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Settings"),
    (Place.SECRET, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Credentials"),
    (Place.KEY, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Keys"),
    (Place.REDIRECT, Kind.KEYCLOAK): Sentence(
        "Keycloak admin console › Clients › your client › Settings › Valid redirect URIs"
    ),
    (Place.CLAIMS, Kind.KEYCLOAK): Sentence("Keycloak admin console › Clients › your client › Client scopes"),
    (Place.POLICY, Kind.KEYCLOAK): Sentence("Keycloak admin console › Authentication"),
}


def find_place(place: Place | None, kind: Kind) -> Sentence | None:
    """Return the way to a place in a provider's console, if it is known."""
    return PLACES.get((place, kind)) if place else None
