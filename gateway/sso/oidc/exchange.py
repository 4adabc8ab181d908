"""What the gateway itself asks a provider: its metadata, a name for a pushed question, and the ID token for a code."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import quote_plus

from gateway.model.clock import Clock
from gateway.model.secret import Secret
from gateway.sso.oidc.assertion import KIND_OF_ASSERTION, audience_of, sign_assertion
from gateway.sso.oidc.encoding import shown
from gateway.sso.oidc.errors import judge_error
from gateway.sso.oidc.fetching import Fetched, Fetcher
from gateway.sso.oidc.id_token import check_id_token, expect
from gateway.sso.oidc.issuers import Issuers
from gateway.sso.oidc.logout_token import Logout, check_logout_token
from gateway.sso.oidc.record import Claims, ClientKey, Metadata, Provider, Refusal, Refused
from gateway.sso.oidc.request import VISIBLE, Question, authorization_url, parameters_of, pushed_url

MAX_NAME = 1_024  # characters, of a pushed question
# Providers may name an endpoint in their metadata that is not for every client.
NOT_TAKEN = frozenset((Refusal.STATUS, Refusal.CONTENT_TYPE, Refusal.NOT_JSON, Refusal.REQUEST, Refusal.PROVIDER_ERROR))


class Exchange:
    """`allows_private` permits providers in private networks (see Fetcher)."""

    def __init__(self, fetcher: Fetcher, clock: Clock, *, allows_private: bool) -> None:
        self._clock = clock
        self._issuers = Issuers(fetcher, clock, allows_private=allows_private)

    async def metadata(self, provider: Provider) -> Metadata | Refused:
        known = await self._issuers.find(provider.issuer).find()
        return known if isinstance(known, Refused) else known.metadata

    async def ask(self, provider: Provider, question: Question) -> str | Refused:
        """Return the URL that puts a question to the provider through the browser.

        If the provider offers that, the question goes there directly beforehand (RFC 9126): nobody can change it on the
        way. If the provider then does not take it, and would do without, the browser brings it after all.
        """
        issuer = self._issuers.find(provider.issuer)
        known = await issuer.find()
        if isinstance(known, Refused):
            return known
        metadata = known.metadata
        if metadata.pushed_authorization_request_endpoint:
            pushed = await self._push(metadata, provider, question)
            if isinstance(pushed, str):
                return pushed_url(metadata, provider, pushed)
            if metadata.requires_pushed or pushed.reason not in NOT_TAKEN:
                return pushed
        return authorization_url(metadata, provider, question)

    async def redeem(
        self,
        provider: Provider,
        code: Secret[str],
        *,
        callback: str,
        verifier: Secret[str],
        nonce: Secret[str],
        asked_at: int | None = None,
    ) -> Claims | Refused:
        """Exchange a code for an ID token (RFC 6749 §4.1.3, RFC 7636 §4.5), and check that.

        `asked_at` (UTC seconds): the person must have signed in at the provider since then, and the token show it.
        """
        issuer = self._issuers.find(provider.issuer)
        known = await issuer.find()
        if isinstance(known, Refused):
            return known
        metadata = known.metadata
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": callback,
            "code_verifier": verifier.reveal(),
        }
        secrets = (provider.client_secret, code, verifier)
        answer = await self._post(provider, metadata.token_endpoint, form, secrets)
        if isinstance(answer, Refused):
            return answer
        token, access = answer.content.get("id_token"), answer.content.get("access_token")
        if not isinstance(token, str):
            return Refused(Refusal.NO_ID_TOKEN)
        keys = await known.find_keys(token)
        if isinstance(keys, Refused):
            return keys
        expected = expect(
            provider,
            metadata,
            nonce,
            access_token=Secret(access) if isinstance(access, str) else None,
            max_age=None if asked_at is None else 0,
            asked_at=asked_at,
        )
        return check_id_token(token, expected, keys, self._clock())

    async def check_logout(self, provider: Provider, token: str) -> Logout | Refused:
        """Check a logout token that somebody has sent."""
        known = await self._issuers.find(provider.issuer).find()
        if isinstance(known, Refused):
            return known
        keys = await known.find_keys(token)
        if isinstance(keys, Refused):
            return keys
        return check_logout_token(token, provider, known.metadata, keys, self._clock())

    async def _push(self, metadata: Metadata, provider: Provider, question: Question) -> str | Refused:
        """Push a question (RFC 9126 §2), and return the name that the provider gives it."""
        url = metadata.pushed_authorization_request_endpoint
        secrets = (provider.client_secret, question.state, question.nonce)
        answer = await self._post(provider, url, parameters_of(provider, question), secrets)
        if isinstance(answer, Refused):
            return answer
        name = answer.content.get("request_uri")
        if not isinstance(name, str) or len(name) > MAX_NAME or not VISIBLE.fullmatch(name):
            return Refused(Refusal.PUSHED)
        return name

    async def _post(
        self, provider: Provider, url: str, form: Mapping[str, str], secrets: Iterable[Secret[str]]
    ) -> Fetched | Refused:
        """Post a form as the provider's client, and return the answer if it is no error."""
        issuer = self._issuers.find(provider.issuer)
        known = await issuer.find()
        if isinstance(known, Refused):
            return known
        shows = authenticate(provider, known.metadata, url, self._clock())
        if isinstance(shows, Refused):
            return shows
        fields, headers = shows
        answer = await issuer.post(url, {**form, **fields}, headers)
        if isinstance(answer, Refused) or answer.status < 400:
            return answer
        signed = Secret(fields.get("client_assertion", ""))
        told = answer.content.get("error"), answer.content.get("error_description")
        refused = judge_error(*told, secrets=(*secrets, signed))
        is_of_key = refused.reason is Refusal.CLIENT and provider.client_key is not None
        return replace(refused, reason=Refusal.CLIENT_KEY) if is_of_key else refused


Credentials = tuple[Mapping[str, str], Mapping[str, str]]
"""Fields and headers of a form that show who the client is."""


def authenticate(provider: Provider, metadata: Metadata, url: str, now: int) -> Credentials | Refused:
    """Show a provider who we are: by a signed assertion (OpenID Connect Core §9), or the secret (RFC 6749 §2.3.1)."""
    client, key = provider.client_id, provider.client_key
    if key is not None:
        return show_key(key, client, metadata, audience_of(provider.kind, metadata, url), now)
    secret = provider.client_secret.reveal()
    if "client_secret_basic" in metadata.client_methods:
        pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode("ascii")
        return {}, {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
    if "client_secret_post" in metadata.client_methods:
        return {"client_id": client, "client_secret": secret}, {}
    return Refused(Refusal.CLIENT_METHODS, " ".join(sorted(metadata.client_methods)))


def show_key(key: ClientKey, client: str, metadata: Metadata, audience: str, now: int) -> Credentials | Refused:
    """Return a signed assertion, if the provider takes such a one."""
    if "private_key_jwt" not in metadata.client_methods:
        return Refused(Refusal.CLIENT_METHODS, " ".join(sorted(metadata.client_methods)))
    if metadata.client_algorithms and key.algorithm not in metadata.client_algorithms:
        return Refused(Refusal.CLIENT_METHODS, shown(" ".join(sorted(metadata.client_algorithms))))
    signed = sign_assertion(key, client, audience, now)
    return {"client_id": client, "client_assertion_type": KIND_OF_ASSERTION, "client_assertion": signed}, {}
