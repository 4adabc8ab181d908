"""What the gateway itself asks a provider: its metadata, a name for a pushed question, and the ID token for a code."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote_plus

from gateway.model.clock import Clock
from gateway.model.secret import Secret
from gateway.sso.oidc.compact import key_id_of
from gateway.sso.oidc.errors import judge_error
from gateway.sso.oidc.fetching import Fetcher
from gateway.sso.oidc.id_token import check_id_token, expect
from gateway.sso.oidc.issuers import Issuer, Issuers
from gateway.sso.oidc.logout_token import Logout, check_logout_token
from gateway.sso.oidc.record import Claims, Metadata, Provider, Refusal, Refused
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
            pushed = await push(issuer, metadata, provider, question)
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
        more, headers = authenticate(provider, metadata)
        answer = await issuer.post(metadata.token_endpoint, {**form, **more}, headers)
        if isinstance(answer, Refused):
            return answer
        if answer.status >= 400:
            told = answer.content.get("error"), answer.content.get("error_description")
            return judge_error(*told, secrets=(provider.client_secret, code, verifier))
        token, access = answer.content.get("id_token"), answer.content.get("access_token")
        if not isinstance(token, str):
            return Refused(Refusal.NO_ID_TOKEN)
        identity = key_id_of(token)
        keys = identity if isinstance(identity, Refused) else await known.keys.find(identity)
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
        identity = key_id_of(token)
        keys = identity if isinstance(identity, Refused) else await known.keys.find(identity)
        if isinstance(keys, Refused):
            return keys
        return check_logout_token(token, provider, known.metadata, keys, self._clock())


async def push(issuer: Issuer, metadata: Metadata, provider: Provider, question: Question) -> str | Refused:
    """Push a question (RFC 9126 §2), and return the name that the provider gives it."""
    more, headers = authenticate(provider, metadata)
    form = {**parameters_of(provider, question), **more}
    answer = await issuer.post(metadata.pushed_authorization_request_endpoint, form, headers)
    if isinstance(answer, Refused):
        return answer
    if answer.status >= 400:
        told = answer.content.get("error"), answer.content.get("error_description")
        return judge_error(*told, secrets=(provider.client_secret, question.state, question.nonce))
    name = answer.content.get("request_uri")
    if not isinstance(name, str) or len(name) > MAX_NAME or not VISIBLE.fullmatch(name):
        return Refused(Refusal.PUSHED)
    return name


def authenticate(provider: Provider, metadata: Metadata) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return fields and headers that show the client's secret (RFC 6749 §2.3.1)."""
    client, secret = provider.client_id, provider.client_secret.reveal()
    if "client_secret_basic" not in metadata.client_methods:
        return {"client_id": client, "client_secret": secret}, {}
    pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode("ascii")
    return {}, {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
