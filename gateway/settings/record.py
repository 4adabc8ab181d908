"""All settings and their defaults. `config/*.toml` documents every key; a test checks that none is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.model.account import Role, check_tenant
from gateway.model.clock import DAY
from gateway.model.factor_policy import FactorPolicy
from gateway.model.memo import CACHED_SESSIONS
from gateway.model.secret import Secret
from gateway.policy.decision import Rules
from gateway.settings.header_template import HeaderTemplate, read_template
from gateway.settings.proofs import FactorSettings, SSOSettings, TokenSettings
from gateway.settings.section import Section
from gateway.settings.values import (
    COLOUR,
    COOKIE_NAME,
    LOGO,
    SUPPORT,
    check_address,
    check_breach_api,
    check_breach_list,
    check_direct_url,
    check_domains,
    check_file,
    check_header,
    check_header_with_value,
    check_host,
    check_language,
    check_left_out,
    check_network,
    check_optional_address,
    check_page,
    check_paths,
    check_prefix,
    check_product,
    check_public_url,
    check_recipient,
    check_sender,
    check_store,
    check_stripped,
    check_zone,
    matches,
)

IDENTITY_NAMES = {
    "user": "Remote-User",
    "email": "Remote-Email",
    "name": "Remote-Name",
    "groups": "Remote-Groups",
    "tenant": "X-Otium-Tenant",
    "role": "X-Otium-Role",
    "session": "X-Otium-Session",
    "factors": "X-Otium-Factors",
    "assertion": "",
}
ASSERTION_NAME = "X-Otium-Assertion"


def add_default_names(given: Any) -> Any:
    """Add the default names where none is given."""
    return {**IDENTITY_NAMES, **given} if isinstance(given, dict) else given


def check_names(names: dict[str, str]) -> dict[str, str]:
    unknown = sorted(set(names) - set(IDENTITY_NAMES))
    if unknown:
        raise ValueError(f"there is no {unknown[0]!r}; there are {', '.join(IDENTITY_NAMES)}")
    used = [name.lower() for name in names.values() if name]
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice:
        raise ValueError(f"{twice!r} is given twice")
    return names


def read_headers(given: Any) -> Any:
    """Parse the templates during validation, so that mistakes are reported with the header's name."""
    if not isinstance(given, dict):
        return given
    read = {}
    for name, text in given.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: must be text, in quotes")
        try:
            read[check_header_with_value(name)] = read_template(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return read


Address = Annotated[str, AfterValidator(check_address)]
HeaderName = Annotated[str, AfterValidator(check_header)]
Tenant = Annotated[str, AfterValidator(check_tenant)]
PagePath = Annotated[str, AfterValidator(check_page)]
Network = Annotated[str, AfterValidator(check_network)]
Host = Annotated[str, AfterValidator(check_host)]
Seconds = Annotated[float, Field(gt=0, le=DAY)]


class Listen(Section):
    addresses: tuple[Address, ...] = ("127.0.0.1:8000",)
    workers: int = Field(2, ge=1, le=64)
    trusted_proxies: tuple[Network, ...] = ()
    head_seconds: Seconds = 10
    body_seconds: Seconds = 60
    min_bytes_per_second: int = Field(200, ge=1, le=1_000_000)
    idle_seconds: Seconds = 75
    drain_seconds: Seconds = 30
    max_head_bytes: int = Field(32_768, ge=1_024, le=1_048_576)
    max_fields: int = Field(100, ge=10, le=1_000)
    max_target_bytes: int = Field(8_192, ge=256, le=65_536)
    max_connections: int = Field(10_000, ge=1)
    max_bodies: int = Field(1_024, ge=1)
    max_pages: int = Field(256, ge=1)
    hung_seconds: Annotated[float, Field(ge=2, le=600)] = 20
    access_log: bool = True
    log_format: Literal["json", "console"] = "json"


class Upstream(Section):
    address: Address = "127.0.0.1:5000"
    connect_seconds: Seconds = 5
    head_seconds: Seconds = 60
    idle_seconds: Seconds = 60
    keepalive_seconds: Seconds = 1.5
    max_connections: int = Field(512, ge=1)
    audience: str = Field("otiumwork", min_length=1)


class StoreSettings(Section):
    url: Annotated[str, AfterValidator(check_store)] = "sqlite:///var/gateway.db"
    sessions: Literal["lease", "strict"] = "lease"
    direct_url: Annotated[str, AfterValidator(check_direct_url)] = ""

    @property
    def direct_key(self) -> Literal["url", "direct_url"]:
        """The key of the address past a pooler, for what can't go through one: notifications and backups."""
        return "direct_url" if self.direct_url else "url"

    @property
    def direct(self) -> str:
        return self.direct_url or self.url


class Mail(Section):
    host: str = "127.0.0.1"
    port: int = Field(25, ge=1, le=65_535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str = ""
    ca_file: Annotated[str, AfterValidator(check_file)] = ""
    seconds: Seconds = 10
    sender: Annotated[str, AfterValidator(check_sender)] = "OtiumWork <no-reply@localhost>"

    @property
    def is_on(self) -> bool:
        """Whether a mail server is configured. Without one, no mails are sent or queued."""
        return self.host != ""


class Identity(Section):
    user: Literal["id", "email"] = "id"
    names: Annotated[dict[str, HeaderName], BeforeValidator(add_default_names), AfterValidator(check_names)] = (
        IDENTITY_NAMES
    )
    headers: Annotated[dict[str, HeaderTemplate], BeforeValidator(read_headers)] = Field(default_factory=dict)
    strip: tuple[Annotated[str, AfterValidator(check_stripped)], ...] = ()


class Limits(Section):
    password_failures: int = Field(5, ge=1, le=100)
    password_window_seconds: int = Field(900, ge=1)
    password_lock_seconds: int = Field(900, ge=1)
    code_failures: int = Field(5, ge=1, le=100)
    code_window_seconds: int = Field(900, ge=1)
    code_lock_seconds: int = Field(900, ge=1)
    hashing_method: Literal["pbkdf2:sha256"] = "pbkdf2:sha256"
    hashing_iterations: int = Field(1_000_000, ge=1_000)
    hashing_threads: int = Field(1, ge=1, le=64)
    hashing_queue: int = Field(64, ge=1)
    uploads_per_day: int = Field(20, ge=0)
    upload_bytes_per_day: int = Field(10_000_000, ge=0)


class Lifespan(Section):
    idle_seconds: int = Field(ge=1)
    absolute_seconds: int = Field(ge=1)


class SessionSettings(Section):
    cookie: Annotated[str, matches(COOKIE_NAME, "begin with __Host-, then letters, digits, - and _")] = (
        "__Host-otium_session"
    )
    members: Lifespan = Lifespan(idle_seconds=7 * DAY, absolute_seconds=30 * DAY)
    owners: Lifespan = Lifespan(idle_seconds=1_800, absolute_seconds=43_200)
    cached: int = Field(CACHED_SESSIONS, ge=100, le=10_000_000)


class Signup(Section):
    mode: Literal["off", "open", "domains"] = "off"
    tenant: Tenant = "default"
    domains: Annotated[dict[str, Tenant], AfterValidator(check_domains)] = Field(default_factory=dict)


class Passwords(Section):
    breach_list: Annotated[str, AfterValidator(check_breach_list)] = ""
    breach_api: Annotated[str, AfterValidator(check_breach_api)] = ""


class AuditSettings(Section):
    keep_days: int = Field(0, ge=0, le=36_500)
    checkpoint_file: str = ""
    checkpoint_mail: Annotated[str, AfterValidator(check_recipient)] = ""
    spray_accounts: int = Field(10, ge=3, le=40)


class PageViewSettings(Section):
    keep_days: int = Field(30, ge=1, le=366)
    leave_out: Annotated[tuple[str, ...], AfterValidator(check_left_out)] = (
        "/_gateway/static/",
        "/static/",
        *(f"*.{ending}" for ending in ("css", "js", "map", "woff", "woff2")),
        *(f"*.{ending}" for ending in ("png", "jpg", "jpeg", "gif", "svg", "webp", "ico")),
    )


class Pages(Section):
    product: Annotated[str, Field(min_length=1, max_length=60), AfterValidator(check_product)] = "OtiumWork"
    logo: Annotated[
        str, matches(LOGO, "write a path on this site like /static/logo.svg, or a data:image/ address, or nothing")
    ] = ""
    accent: Annotated[str, matches(COLOUR, "write a colour like #2457c5")] = "#2457c5"
    support: Annotated[str, matches(SUPPORT, "write an email, or an address that begins with https://, or nothing")] = (
        ""
    )
    language: Annotated[str, AfterValidator(check_language)] = "en"
    zone: Annotated[str, AfterValidator(check_zone)] = "UTC"
    hsts: Literal["off", "host", "subdomains"] = "host"
    prefix: Annotated[str, AfterValidator(check_prefix)] = ""
    paths: Annotated[dict[str, PagePath], AfterValidator(check_paths)] = Field(default_factory=dict)


class Admin(Section):
    listen: Annotated[str, AfterValidator(check_optional_address)] = "127.0.0.1:9464"
    allow_elsewhere: bool = False
    ready_outbox_seconds: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the keys were set: in `file`, except those of `variables` (the name of each one's variable)."""

    file: str = "gateway.toml"
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """`owners` are identifiers, `owner_networks` the list of their networks (model.network_rule).

    `rules` do not include the gateway's own pages yet.
    """

    owners: frozenset[str] = frozenset()
    owner_networks: str = ""
    rules: Rules = field(default_factory=Rules)


class Settings(Section):
    public_url: Annotated[str, AfterValidator(check_public_url)] = "http://localhost:8000"
    hosts: tuple[Host, ...] = ()
    listen: Listen = Listen()
    upstream: Upstream = Upstream()
    store: StoreSettings = StoreSettings()
    mail: Mail = Mail()
    identity: Identity = Identity()
    limits: Limits = Limits()
    sessions: SessionSettings = SessionSettings()
    factors: FactorSettings = FactorSettings()
    sso: SSOSettings = SSOSettings()
    tokens: TokenSettings = TokenSettings()
    passwords: Passwords = Passwords()
    signup: Signup = Signup()
    audit: AuditSettings = AuditSettings()
    page_views: PageViewSettings = PageViewSettings()
    pages: Pages = Pages()
    admin: Admin = Admin()
    access: Access = Access()
    origin: Origin = Origin()
    secrets: tuple[Secret[bytes], ...] = ()
    mail_password: Secret[str] | None = None
    credentials: Mapping[str, Secret[str]] = {}

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_url).hostname or ""

    @property
    def rp_id(self) -> str:
        """The RP ID of passkeys (WebAuthn L3 §4)."""
        return self.factors.rp_id or self.public_host

    @property
    def factor_policy(self) -> FactorPolicy:
        second = self.factors.second
        by_role = {Role.EMPLOYEE: second.employee, Role.MANAGER: second.manager, Role.ADMIN: second.admin}
        return FactorPolicy(
            self.access.owners,
            by_role,
            second.owner,
            frozenset(self.factors.passwordless),
            self.access.owner_networks,
        )


# The fields that gateway.toml must not set, and why.
FROM_ELSEWHERE: Mapping[str, str] = {
    "access": "the allowlists stand in access.toml",
    "origin": "it is where each key was found",
    "secrets": "secrets come from the environment or $CREDENTIALS_DIRECTORY, never from a file of settings",
    "credentials": "the secrets of headers come from the environment or $CREDENTIALS_DIRECTORY, never from here",
    "mail_password": "the mail server's password comes from the environment or $CREDENTIALS_DIRECTORY, never from here",
}
