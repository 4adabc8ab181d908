"""The records of single sign-on: a tenant's provider, its metadata, what it asserts, and why something was refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.secret import Secret
from gateway.sso.oidc.addresses import origin_of

ALGORITHMS = frozenset(("RS256", "PS256", "ES256", "EdDSA"))
"""The signatures that are accepted (RFC 7518 §3.1, RFC 8037 §3.1), all with public keys; EdDSA is Ed25519."""


class Kind(StrEnum):
    """Whose product a provider is: some differ in what their claims mean."""

    GENERIC = "generic"
    ENTRA = "entra"
    GOOGLE = "google"
    OKTA = "okta"
    KEYCLOAK = "keycloak"


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key of ours, with which we prove to a provider that we are its client. `id` is its public name.

    `private` is PKCS #8 in PEM; `certificate` is DER, or empty.
    """

    id: str
    algorithm: str
    private: Secret[bytes]
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Provider:
    """A tenant's provider, as its administrators set it up. `tenant` is the tenant's slug.

    With a `client_key`, that is used in place of the secret.
    """

    id: str
    tenant: str
    issuer: str
    client_id: str
    client_secret: Secret[str]
    kind: Kind
    scopes: tuple[str, ...]
    is_enabled: bool
    client_key: ClientKey | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is used of a provider's metadata (OpenID Connect Discovery 1.0 §3). What it does not offer is "".

    `says_issuer`: its answers name it (RFC 9207). `requires_pushed`: questions go there directly (RFC 9126).
    `algorithms` are those of ID tokens, as far as we accept them; `client_methods` and `client_algorithms` how clients
    may authenticate at the token endpoint; of no algorithms, all may be tried.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    algorithms: frozenset[str]
    pushed_authorization_request_endpoint: str = ""
    end_session_endpoint: str = ""
    says_issuer: bool = False
    requires_pushed: bool = False
    client_methods: frozenset[str] = frozenset(("client_secret_basic",))
    client_algorithms: frozenset[str] = frozenset()

    @property
    def origins(self) -> frozenset[str]:
        """Where the gateway itself may send requests to, as origins like "https://id.example.com:443"."""
        ours = (self.issuer, self.token_endpoint, self.jwks_uri, self.pushed_authorization_request_endpoint)
        return frozenset(origin_of(url) for url in ours if url)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked ID token asserts of a person. Absent texts are "", absent lists empty.

    `email` only names an account, and never proves that it is theirs. `auth_time` is in UTC seconds. `tenant_id`,
    `object_id`, `acrs`, `is_guest` and `login_hint` are Entra ID's. `has_more_groups`: there are too many for a token.
    `session_id` names this sign-in at the provider, in logout tokens. `login_hint` is what Entra ID wants to be told at
    sign-out. `lists` are all claims that are lists of texts, such as `roles`.
    """

    issuer: str
    subject: str
    email: str = ""
    is_email_verified: bool = False
    name: str = ""
    tenant_id: str = ""
    object_id: str = ""
    auth_time: int | None = None
    amr: tuple[str, ...] = ()
    acr: str = ""
    acrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    has_more_groups: bool = False
    is_guest: bool = False
    session_id: str = ""
    login_hint: str = ""
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> str:
        """The person's name at this provider, which never changes: to be stored with the link.

        At Entra ID another application gets another `sub` for the same person, so it is `tid` and `oid` there.
        """
        return f"{self.tenant_id}/{self.object_id}" if self.object_id else self.subject

    @property
    def shows_two_factors(self) -> bool:
        """Whether the provider says that it verified several factors (RFC 8176 §2)."""
        return "mfa" in self.amr

    def reaches(self, wanted: Collection[str]) -> bool:
        """Whether the sign-in was of one of the classes (`acr_values`) that were asked for."""
        return not {self.acr, *self.acrs}.isdisjoint(set(wanted) - {""})


class Refusal(StrEnum):
    """Why something from a provider, or the way to it, was refused."""

    # A request to the provider.
    URL = "url"  # not https, or malformed
    ORIGIN = "origin"  # not an address of this provider
    NAME_UNKNOWN = "name_unknown"
    PRIVATE_ADDRESS = "private_address"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TIMED_OUT = "timed_out"
    BUSY = "busy"  # too many requests to it at the same time
    NOT_HTTP = "not_http"  # a broken answer, or a connection that ended in the middle of it
    REDIRECT = "redirect"
    STATUS = "status"
    TOO_LARGE = "too_large"
    CONTENT_TYPE = "content_type"
    NOT_JSON = "not_json"  # not a JSON object
    DUPLICATE = "duplicate"  # the same name twice in a JSON object, or the same parameter in an answer

    # Its metadata.
    ISSUER_URL = "issuer_url"
    ISSUER_PATTERN = "issuer_pattern"  # the endpoints for all companies: a tenant must name its own
    ISSUER_DIFFERS = "issuer_differs"
    PERSONAL_ACCOUNTS = "personal_accounts"  # Microsoft's issuer for people without a company
    ENDPOINT = "endpoint"
    ALGORITHMS = "algorithms"  # no signature that we accept
    NO_CODE_FLOW = "no_code_flow"
    CLIENT_METHODS = "client_methods"  # no way to authenticate that we have

    # Its keys.
    NO_KEYS = "no_keys"
    TOO_MANY_KEYS = "too_many_keys"

    # Its answer to the browser, or to the gateway.
    STATE = "state"
    CHANGED = "changed"  # the tenant has turned its provider off, or exchanged it, while it was asked
    ANSWER = "answer"  # neither a code nor an error, or both, or malformed
    ANSWER_ISSUER = "answer_issuer"  # of another provider (mix-up, RFC 9207)
    PROVIDER_ERROR = "provider_error"  # none of those that follow
    CLIENT = "client"  # a wrong client id or secret
    PUSHED = "pushed"  # no name for a pushed request
    CLIENT_EXPIRED = "client_expired"
    CLIENT_UNKNOWN = "client_unknown"  # or switched off
    CLIENT_PUBLIC = "client_public"  # registered as one without a secret
    CLIENT_KEY = "client_key"  # what we signed was not accepted
    REDIRECT_URI = "redirect_uri"
    CODE = "code"  # replayed, expired, or of another client
    REQUEST = "request"
    SCOPE = "scope"
    ISSUER_UNKNOWN = "issuer_unknown"
    CLASS_UNMET = "class_unmet"  # it can't give the class of sign-in that was asked for
    NOT_ASSIGNED = "not_assigned"
    CONSENT = "consent"
    DECLINED = "declined"
    PERSON = "person"  # has no account there that may be used
    CONDITIONAL_ACCESS = "conditional_access"
    INTERACTION = "interaction"
    UNAVAILABLE = "unavailable"
    NO_ID_TOKEN = "no_id_token"  # noqa: S105

    # An ID token: how it is written and signed.
    LONG = "long"
    MALFORMED = "malformed"
    ENCRYPTED = "encrypted"
    HEADER = "header"  # a member that brings its own key, or changes how the token is read
    TYPE = "type"
    ALGORITHM = "algorithm"
    KEY_UNKNOWN = "key_unknown"
    KEY_AMBIGUOUS = "key_ambiguous"
    KEY_UNFIT = "key_unfit"  # it is not for this algorithm
    KEY_ISSUER = "key_issuer"
    SIGNATURE = "signature"

    # An ID token: what it says.
    LOGOUT_TOKEN = "logout_token"  # noqa: S105
    ACCESS_TOKEN = "access_token"  # noqa: S105
    ISSUER = "issuer"
    AUDIENCE = "audience"
    AUTHORISED_PARTY = "authorised_party"
    SUBJECT = "subject"
    TIMES = "times"  # missing, or not numbers
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    ISSUED_LONG_AGO = "issued_long_ago"
    NONCE = "nonce"
    ACCESS_TOKEN_HASH = "access_token_hash"  # noqa: S105
    NO_AUTH_TIME = "no_auth_time"
    AUTHENTICATED_IN_FUTURE = "authenticated_in_future"
    AUTHENTICATED_LONG_AGO = "authenticated_long_ago"
    TENANT = "tenant"  # of Entra ID
    OBJECT_ID = "object_id"
    HOSTED_DOMAIN = "hosted_domain"  # a Google account of no company

    # A logout token.
    NO_LOGOUT_EVENT = "no_logout_event"  # another token in its place
    TOKEN_ID = "token_id"  # noqa: S105
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Refused:
    """`detail` is for logs and for administrators who set a provider up: printable, short, and no secret."""

    reason: Refusal
    detail: str = ""


class Rejected(Exception):
    """Raised between functions of this package, and turned into Refused by the public ones."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(reason)
        self.refused = Refused(reason, detail)
