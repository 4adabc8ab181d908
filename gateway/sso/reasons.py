"""Each refusal in plain words, for the administrators who connect a provider: what is wrong, and where to mend it.

People who only want to sign in are not told: it says something of their company's settings, and they can't mend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.sentence import Sentence
from gateway.sso.consoles import Part
from gateway.sso.oidc.record import Refusal


@dataclass(frozen=True, slots=True)
class Reason:
    """`place` is where to mend it, if that is at the provider."""

    wrong: Sentence
    mend: Sentence
    place: Part | None = None


CHECK_ISSUER = Sentence("Check the issuer on this page: it must be exactly as your provider shows it.")
ASK_PROVIDER = Sentence("If it happens again, show this page to whoever runs your provider.")
TRY_LATER = Sentence("Try again in a few minutes. If it stays like that, look at your provider’s status page.")
CHECK_CLOCK = Sentence("Set the clocks of both servers by the network (NTP): this site’s and your provider’s.")
ALGORITHM = Sentence("Have your provider sign ID tokens with RS256, PS256, ES256 or EdDSA (Ed25519).")
IN_THE_WAY = Sentence("Something between your provider and this site may change its answers. Don’t turn it on.")
TRY_AGAIN = Sentence("Try it out once more, from the beginning and in one go.")

UNREADABLE = Reason(Sentence("Your provider’s answer doesn’t follow OpenID Connect."), CHECK_ISSUER)
WRONG_TOKEN = Reason(Sentence("The ID token isn’t of a kind that’s accepted here."), ASK_PROVIDER)
FORGED = Reason(Sentence("The ID token wasn’t made by your provider for this site."), IN_THE_WAY)
BAD_ANSWER = Reason(Sentence("The answer that your browser brought back is malformed."), TRY_AGAIN)

REASONS: Mapping[Refusal, Reason] = {
    # A request to the provider.
    Refusal.URL: Reason(Sentence("An address of your provider isn’t a secure web address (https)."), CHECK_ISSUER),
    Refusal.ORIGIN: Reason(Sentence("Your provider refers to an address that isn’t its own."), ASK_PROVIDER),
    Refusal.NAME_UNKNOWN: Reason(
        Sentence("There’s no server with the name in the issuer."), CHECK_ISSUER
    ),
    Refusal.PRIVATE_ADDRESS: Reason(
        Sentence("Your provider is in a private network, which this site may not contact."),
        Sentence("Ask the operator of this site to allow it (sso.private_networks), or make your provider public."),
    ),
    Refusal.UNREACHABLE: Reason(Sentence("Your provider’s server refuses connections."), TRY_LATER),
    Refusal.CERTIFICATE: Reason(
        Sentence("The certificate of your provider’s server isn’t valid, or isn’t from a known authority."),
        Sentence("Renew it, or check the issuer on this page."),
    ),
    Refusal.TIMED_OUT: Reason(Sentence("Your provider didn’t answer within a few seconds."), TRY_LATER),
    Refusal.BUSY: Reason(Sentence("Your provider is too slow for so many sign-ins at once."), TRY_LATER),
    Refusal.NOT_HTTP: Reason(Sentence("Your provider closed the connection too early."), TRY_LATER),
    Refusal.REDIRECT: Reason(Sentence("Your provider’s server leads to another address."), CHECK_ISSUER),
    Refusal.STATUS: Reason(
        Sentence("Your provider’s server answered with an error, or doesn’t know the address."), CHECK_ISSUER,
    ),
    Refusal.TOO_LARGE: Reason(Sentence("Your provider’s answer is too large."), CHECK_ISSUER),
    Refusal.CONTENT_TYPE: Reason(
        Sentence("There’s a page at that address, but not a provider’s configuration."), CHECK_ISSUER
    ),
    Refusal.NOT_JSON: UNREADABLE,
    Refusal.DUPLICATE: UNREADABLE,
    # Its metadata.
    Refusal.ISSUER_URL: Reason(Sentence("The issuer isn’t a secure web address."), CHECK_ISSUER),
    Refusal.ISSUER_PATTERN: Reason(
        Sentence("The issuer is the one for all companies, not your own."),
        Sentence("Enter the issuer with your directory (tenant) ID in it."),
        Part.APPLICATION,
    ),
    Refusal.ISSUER_DIFFERS: Reason(
        Sentence("Your provider’s issuer differs from the one on this page."),
        Sentence("Copy the issuer from your provider exactly, with or without the slash at its end."),
    ),
    Refusal.PERSONAL_ACCOUNTS: Reason(
        Sentence("The issuer is the one for personal Microsoft accounts, which anyone can open."),
        Sentence("Enter the issuer with your directory (tenant) ID in it."),
        Part.APPLICATION,
    ),
    Refusal.ENDPOINT: Reason(
        Sentence("One of your provider’s addresses is missing, or isn’t secure (https)."), ASK_PROVIDER
    ),
    Refusal.ALGORITHMS: Reason(
        Sentence("Your provider doesn’t sign in a way that’s accepted here."), ALGORITHM, Part.APPLICATION
    ),
    Refusal.NO_CODE_FLOW: Reason(
        Sentence("Your provider doesn’t offer the authorization code flow."), ASK_PROVIDER
    ),
    Refusal.CLIENT_METHODS: Reason(
        Sentence("Your provider doesn’t let this site authenticate in the way chosen on this page."),
        Sentence("Choose the other way there, or allow this one at your provider."),
        Part.APPLICATION,
    ),
    # Its keys.
    Refusal.NO_KEYS: Reason(Sentence("Your provider publishes no signing key that can be used."), ALGORITHM),
    Refusal.TOO_MANY_KEYS: Reason(
        Sentence("Your provider publishes too many signing keys."),
        Sentence("Remove the ones that are no longer used there."),
    ),
    # Its answer to the browser, or to the gateway.
    Refusal.STATE: Reason(
        Sentence("The answer doesn’t belong to a sign-in that this browser began in the last ten minutes."), TRY_AGAIN
    ),
    Refusal.CHANGED: Reason(Sentence("The provider was changed while this trial waited for its answer."), TRY_AGAIN),
    Refusal.ANSWER: BAD_ANSWER,
    Refusal.ANSWER_ISSUER: Reason(Sentence("The answer comes from a provider other than yours."), IN_THE_WAY),
    Refusal.PROVIDER_ERROR: Reason(Sentence("Your provider reported an error."), ASK_PROVIDER),
    Refusal.PUSHED: UNREADABLE,
    Refusal.CLIENT: Reason(
        Sentence("The client ID or the client secret is wrong."),
        Sentence("Make a new client secret and enter it on this page: its value, not its ID."),
        Part.SECRET,
    ),
    Refusal.CLIENT_EXPIRED: Reason(
        Sentence("The client secret has expired."), Sentence("Make a new one, and enter it on this page."), Part.SECRET
    ),
    Refusal.CLIENT_UNKNOWN: Reason(
        Sentence("Your provider has no application with this client ID, or it’s switched off there."),
        Sentence("Copy the client ID, and check that the issuer is of the same directory."),
        Part.APPLICATION,
    ),
    Refusal.CLIENT_PUBLIC: Reason(
        Sentence("The application is registered as a mobile, desktop or single-page app, which has no secret."),
        Sentence("Register the redirect URI under the platform “Web”, and remove it from the others."),
        Part.REDIRECT,
    ),
    Refusal.CLIENT_KEY: Reason(
        Sentence("Your provider didn’t accept this site’s signature."),
        Sentence("Give it the certificate or key on the page “Signing key”. If it’s new, try again in a few minutes."),
        Part.KEY,
    ),
    Refusal.REDIRECT_URI: Reason(
        Sentence("The redirect URI isn’t registered at your provider exactly as this page shows it."),
        Sentence("Copy it from this page."),
        Part.REDIRECT,
    ),
    Refusal.CODE: Reason(
        Sentence("The code of this sign-in has expired or been used, or was for another redirect URI."), TRY_AGAIN
    ),
    Refusal.REQUEST: Reason(
        Sentence("Your provider didn’t accept the request."),
        Sentence("Check there that the application may use the authorization code flow."),
        Part.APPLICATION,
    ),
    Refusal.SCOPE: Reason(
        Sentence("Your provider doesn’t give the application all of the scopes openid, email and profile."),
        Sentence("Allow them there."),
        Part.CONSENT,
    ),
    Refusal.ISSUER_UNKNOWN: Reason(
        Sentence("The issuer names a directory that your provider doesn’t know."), CHECK_ISSUER, Part.APPLICATION
    ),
    Refusal.CLASS_UNMET: Reason(
        Sentence("Your provider can’t offer the kind of sign-in that this page asks it for."),
        Sentence("Check on this page what to ask it for, or set that up at your provider."),
        Part.POLICY,
    ),
    Refusal.NOT_ASSIGNED: Reason(
        Sentence("This person isn’t assigned to the application."),
        Sentence("Assign the people or groups who may use this site, or don’t require assignment."),
        Part.PEOPLE,
    ),
    Refusal.CONSENT: Reason(
        Sentence("The application lacks an administrator’s consent."),
        Sentence("Grant it for your whole company."),
        Part.CONSENT,
    ),
    Refusal.DECLINED: Reason(
        Sentence("The sign-in was cancelled or refused at your provider."),
        Sentence("If you didn’t cancel it, check there whether this person may use the application."),
        Part.PEOPLE,
    ),
    Refusal.PERSON: Reason(
        Sentence("This person has no account in your directory, or it’s disabled or locked there."),
        Sentence("Sign in as someone from your company."),
        Part.PEOPLE,
    ),
    Refusal.CONDITIONAL_ACCESS: Reason(
        Sentence("A policy of your provider doesn’t let this person in, for example from this device."),
        Sentence("Look at the policies that apply to the application."),
        Part.POLICY,
    ),
    Refusal.INTERACTION: Reason(
        Sentence("Your provider needs something more from this person, such as a second factor."),
        Sentence("Have them set that up at your provider first."),
        Part.POLICY,
    ),
    Refusal.UNAVAILABLE: Reason(Sentence("Your provider is having problems at the moment."), TRY_LATER),
    Refusal.NO_ID_TOKEN: Reason(
        Sentence("Your provider sent no ID token."),
        Sentence("Register the application for OpenID Connect, with the scope openid."),
        Part.APPLICATION,
    ),
    # An ID token: how it is written and signed.
    Refusal.LONG: Reason(
        Sentence("The ID token is too long."),
        Sentence("Have your provider send fewer claims, above all fewer groups."),
        Part.CLAIMS,
    ),
    Refusal.MALFORMED: WRONG_TOKEN,
    Refusal.ENCRYPTED: Reason(
        Sentence("The ID token is encrypted."), Sentence("Turn encryption off at your provider."), Part.APPLICATION
    ),
    Refusal.HEADER: FORGED,
    Refusal.TYPE: WRONG_TOKEN,
    Refusal.ALGORITHM: Reason(
        Sentence("The ID token isn’t signed in a way that’s accepted here."), ALGORITHM, Part.APPLICATION
    ),
    Refusal.KEY_UNKNOWN: Reason(
        Sentence("The ID token is signed with a key that your provider doesn’t publish."),
        Sentence("If your provider just changed its keys, try again in a minute."),
    ),
    Refusal.KEY_AMBIGUOUS: Reason(
        Sentence("Your provider doesn’t say with which of its keys it signed the ID token."), ASK_PROVIDER
    ),
    Refusal.KEY_UNFIT: FORGED,
    Refusal.KEY_ISSUER: FORGED,
    Refusal.SIGNATURE: FORGED,
    # An ID token: what it says.
    Refusal.LOGOUT_TOKEN: WRONG_TOKEN,
    Refusal.ACCESS_TOKEN: WRONG_TOKEN,
    Refusal.ISSUER: Reason(
        Sentence("The ID token is from an issuer other than the one on this page."), CHECK_ISSUER
    ),
    Refusal.AUDIENCE: FORGED,
    Refusal.AUTHORISED_PARTY: FORGED,
    Refusal.SUBJECT: Reason(Sentence("The ID token doesn’t say who signed in (sub)."), ASK_PROVIDER),
    Refusal.TIMES: WRONG_TOKEN,
    Refusal.EXPIRED: Reason(Sentence("The ID token had expired when it arrived."), CHECK_CLOCK),
    Refusal.NOT_YET_VALID: Reason(Sentence("The ID token isn’t valid yet: the clocks differ."), CHECK_CLOCK),
    Refusal.ISSUED_IN_FUTURE: Reason(Sentence("The ID token is from the future: the clocks differ."), CHECK_CLOCK),
    Refusal.ISSUED_LONG_AGO: Reason(Sentence("The ID token is old: the clocks differ."), CHECK_CLOCK),
    Refusal.NONCE: FORGED,
    Refusal.ACCESS_TOKEN_HASH: FORGED,
    Refusal.NO_AUTH_TIME: Reason(
        Sentence("Your provider doesn’t say when the person signed in (auth_time)."),
        Sentence("Add that claim to the ID token, or let people confirm in another way."),
        Part.CLAIMS,
    ),
    Refusal.AUTHENTICATED_IN_FUTURE: Reason(
        Sentence("The time of the sign-in is in the future: the clocks differ."), CHECK_CLOCK
    ),
    Refusal.AUTHENTICATED_LONG_AGO: Reason(
        Sentence("Your provider didn’t ask the person to sign in again, or the clocks differ."), CHECK_CLOCK
    ),
    Refusal.TENANT: Reason(
        Sentence("The ID token is from a different Microsoft directory than the issuer."), CHECK_ISSUER,
        Part.APPLICATION,
    ),
    Refusal.OBJECT_ID: Reason(
        Sentence("The ID token lacks the person’s object ID (oid)."),
        Sentence("Allow the scope profile, and choose Microsoft Entra ID as the provider only if it is one."),
        Part.CONSENT,
    ),
    Refusal.HOSTED_DOMAIN: Reason(
        Sentence("This is a personal Google account, not one of your company."),
        Sentence("Sign in with an account of your Google Workspace."),
    ),
    # A logout token, which is in no trial.
    Refusal.NO_LOGOUT_EVENT: WRONG_TOKEN,
    Refusal.TOKEN_ID: WRONG_TOKEN,
    Refusal.REPLAYED: WRONG_TOKEN,
}  # fmt: skip

DENIED = frozenset((Refusal.NOT_ASSIGNED, Refusal.PERSON, Refusal.CONDITIONAL_ACCESS))
STALE = frozenset((Refusal.NO_AUTH_TIME, Refusal.AUTHENTICATED_LONG_AGO))


def told(refusal: Refusal) -> str:
    """Return what the person is told, as in NotSignedIn."""
    if refusal is Refusal.DECLINED:
        return "cancelled"
    if refusal in (Refusal.STATE, Refusal.CHANGED):
        return "late"
    if refusal in DENIED:
        return "denied"
    return "stale" if refusal in STALE else "provider"
