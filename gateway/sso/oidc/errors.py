"""Reads what a provider says went wrong: the errors of OAuth 2.0 and OpenID Connect, and Entra ID's numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.model.secret import Secret
from gateway.sso.oidc.encoding import shown
from gateway.sso.oidc.record import Refusal, Refused

ERROR = re.compile(r"[ -!#-\[\]-~]{1,64}")  # RFC 6749 §4.1.2.1
EMAIL = re.compile(r"\S+@\S+")
REDIRECT = re.compile(r"redirect[_ ]ur[il]", re.IGNORECASE)  # what most providers call it, within other errors
NUMBER = re.compile(r"AADSTS(\d{5,7})\b")
HIDDEN = "…"
MAX_READ = 4_096  # characters of a description

# RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core 1.0 §3.1.2.6, Unmet Authentication Requirements 1.0. Keycloak says
# unauthorized_client for a wrong secret, Google redirect_uri_mismatch.
ERRORS: Mapping[str, Refusal] = {
    "access_denied": Refusal.DECLINED,
    "account_selection_required": Refusal.INTERACTION,
    "consent_required": Refusal.CONSENT,
    "interaction_required": Refusal.INTERACTION,
    "invalid_client": Refusal.CLIENT,
    "invalid_grant": Refusal.CODE,
    "invalid_redirect_uri": Refusal.REDIRECT_URI,
    "invalid_request": Refusal.REQUEST,
    "invalid_scope": Refusal.SCOPE,
    "login_required": Refusal.INTERACTION,
    "redirect_uri_mismatch": Refusal.REDIRECT_URI,
    "server_error": Refusal.UNAVAILABLE,
    "temporarily_unavailable": Refusal.UNAVAILABLE,
    "unauthorized_client": Refusal.CLIENT,
    "unmet_authentication_requirements": Refusal.CLASS_UNMET,
    "unsupported_response_type": Refusal.REQUEST,
}

# "Microsoft Entra authentication and authorization error codes", in Microsoft's documentation of its identity platform.
# It warns that the numbers change: an unknown one is judged by its error.
NUMBERS: Mapping[int, Refusal] = {
    number: refusal
    for refusal, numbers in {
        Refusal.CLIENT: (70002, 7000215),
        Refusal.CLIENT_EXPIRED: (7000222,),
        Refusal.CLIENT_UNKNOWN: (70001, 700011, 700016, 7000112),
        Refusal.CLIENT_PUBLIC: (700025, 9002326, 9002327),
        Refusal.CLIENT_KEY: (50012, 700021, 700024, 700027, 700030, 7000214),
        Refusal.REDIRECT_URI: (50011, 70004, 500112, 900971),
        Refusal.CODE: (50089, 54005, 70000, 70008, 501481),
        Refusal.NOT_ASSIGNED: (50105,),
        Refusal.CONSENT: (65001, 65005, 90008, 90094, 650056, 650057),
        Refusal.DECLINED: (65004,),
        Refusal.PERSON: (
            16000, 16003, 50014, 50020, 50034, 50053, 50057, 51004, 53011, 500208, 500212, 500213,
        ),
        Refusal.CONDITIONAL_ACCESS: (
            50005, 50097, 50129, 50131, 50155, 50158, 53000, 53001, 53002, 53003, 53004, 53010, 530035,
        ),
        Refusal.INTERACTION: (50058, 50072, 50074, 50076, 50078, 50079),
        Refusal.SCOPE: (28002, 28003, 70011),
        Refusal.ISSUER_UNKNOWN: (50059, 50128, 50194, 90002),
        Refusal.UNAVAILABLE: (50000, 50033, 50087, 50196, 90006, 90012, 90024, 90033),
    }.items()
    for number in numbers
}  # fmt: skip


def judge_error(error: object, description: object, secrets: Iterable[Secret[str]] = ()) -> Refused:
    """Return what an error means, and what the provider says of it.

    That is without our `secrets`, which it might repeat, and without the person's email.
    """
    name = error if isinstance(error, str) and ERROR.fullmatch(error) else ""
    text = description[:MAX_READ] if isinstance(description, str) else ""
    number = NUMBER.search(text)
    refusal = NUMBERS.get(int(number[1])) if number else None
    if refusal is None and REDIRECT.search(text):
        refusal = Refusal.REDIRECT_URI
    said = ": ".join(each for each in (name, text) if each)
    for secret in secrets:
        said = said.replace(secret.reveal(), HIDDEN) if secret else said
    return Refused(refusal or ERRORS.get(name, Refusal.PROVIDER_ERROR), shown(EMAIL.sub(HIDDEN, said)))
