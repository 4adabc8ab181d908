"""What can be set, with its default. `config/*.toml` shows and explains every key; a test holds them together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import getaddresses
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.accounts.record import check_tenant, normalise_identifier
from gateway.edge.authority import read_authority
from gateway.gate import Rules
from gateway.passwords.breaches import open_list
from gateway.secret import Secret
from gateway.store.location import locate

HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
COOKIE_NAME = re.compile(r"__Host-[A-Za-z0-9_-]{1,40}")
SENDER_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
PAGE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+(?:/\{[a-z]+\})?")
IDENTITY_NAMES = {
    "user": "Remote-User",
    "email": "Remote-Email",
    "name": "Remote-Name",
    "groups": "Remote-Groups",
    "tenant": "X-Otium-Tenant",
    "role": "X-Otium-Role",
    "session": "X-Otium-Session",
    "factors": "X-Otium-Factors",
    "assertion": "X-Otium-Assertion",
}


def check_address(text: str) -> str:
    if text.startswith("unix:/"):
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("write host:port, [v6 address]:port, or unix:/path/to/socket")
    return text


def check_optional_address(text: str) -> str:
    return check_address(text) if text else text


def check_network(text: str) -> str:
    if text != "unix":
        try:
            ip_network(text)
        except ValueError as error:
            raise ValueError(f'write an address, a network like 10.0.0.0/8, or "unix" ({error})') from None
    return text


def check_store(text: str) -> str:
    locate(text)
    return text


def check_public_url(text: str) -> str:
    parts = urlsplit(text)
    authority = read_authority(parts.netloc.encode("ascii", "replace"))
    if parts.scheme not in ("http", "https") or authority is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("write the address that people type, without a path, like https://app.example.com")
    if parts.scheme == "http" and not (authority == "localhost" or authority.endswith(".localhost")):
        raise ValueError("cookies can only be kept safe over https; http works for localhost alone")
    return text.rstrip("/").lower()


def check_host(text: str) -> str:
    if read_authority(text.encode("ascii", "replace")) is None:
        raise ValueError("write a host name, with :port if people type one")
    return text


def check_sender(text: str) -> str:
    addresses = [address for _, address in getaddresses([text])]
    if len(addresses) != 1 or not text.isprintable() or not SENDER_ADDRESS.fullmatch(addresses[0]):
        raise ValueError("write an address, or a name and an address, like OtiumWork <no-reply@example.com>")
    return text


def check_breach_list(text: str) -> str:
    open_list(text)
    return text


def check_breach_api(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or read_authority(parts.netloc.encode("ascii", "replace")) is None:
        raise ValueError("write the address up to the five digits, like https://api.pwnedpasswords.com/range")
    if parts.query or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write an address without ? and #, to which the five digits are added")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("write https: what is asked for says something about people's passwords")
    return text


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_page(text: str) -> str:
    if text and not PAGE_PATH.fullmatch(text):
        raise ValueError('write a plain path like /sign-in, or "" to switch the page off')
    return text


def matches(pattern: re.Pattern[str], advice: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(advice)
        return text

    return AfterValidator(check)


ListenAddress = Annotated[str, AfterValidator(check_address)]
Network = Annotated[str, AfterValidator(check_network)]
Host = Annotated[str, AfterValidator(check_host)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Listen(Section):
    addresses: tuple[ListenAddress, ...] = ("127.0.0.1:8000",)
    workers: int = Field(2, ge=1, le=64)
    trusted_proxies: tuple[Network, ...] = ()
    head_seconds: Seconds = 10
    body_seconds: Seconds = 60
    idle_seconds: Seconds = 75
    drain_seconds: Seconds = 30
    max_head_bytes: int = Field(32_768, ge=1_024, le=1_048_576)
    max_fields: int = Field(100, ge=10, le=1_000)
    max_target_bytes: int = Field(8_192, ge=256, le=65_536)
    max_connections: int = Field(10_000, ge=1)
    hung_seconds: Annotated[float, Field(ge=2, le=600)] = 20
    access_log: bool = True
    log_format: Literal["json", "console"] = "json"


class Upstream(Section):
    address: ListenAddress = "127.0.0.1:5000"
    connect_seconds: Seconds = 5
    head_seconds: Seconds = 60
    idle_seconds: Seconds = 60
    keepalive_seconds: Seconds = 1.5
    max_connections: int = Field(512, ge=1)
    audience: str = Field("otiumwork", min_length=1)


class StoreSettings(Section):
    url: Annotated[str, AfterValidator(check_store)] = "sqlite:///var/gateway.db"


class Mail(Section):
    host: str = "127.0.0.1"
    port: int = Field(25, ge=1, le=65_535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str = ""
    ca_file: str = ""
    seconds: Seconds = 10
    sender: Annotated[str, AfterValidator(check_sender)] = "OtiumWork <no-reply@localhost>"


class Identity(Section):
    user: Literal["id", "email"] = "id"
    names: dict[str, str] = IDENTITY_NAMES

    @model_validator(mode="before")
    @classmethod
    def complete(cls, given: Any) -> Any:
        """Names that are not given keep their defaults."""
        if isinstance(given, dict) and isinstance(given.get("names"), dict):
            return {**given, "names": {**IDENTITY_NAMES, **given["names"]}}
        return given

    @model_validator(mode="after")
    def check(self) -> Identity:
        unknown = sorted(set(self.names) - set(IDENTITY_NAMES))
        if unknown:
            raise ValueError(f"names: there is no {unknown[0]!r}; there are {', '.join(IDENTITY_NAMES)}")
        used = [name.lower() for name in self.names.values() if name]
        for name in used:
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"names: {name!r} is no header name (letters, digits and - only)")
            if used.count(name) > 1:
                raise ValueError(f"names: {name!r} is given twice")
        return self


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


class Lifespan(Section):
    idle_seconds: int = Field(ge=1)
    absolute_seconds: int = Field(ge=1)


class SessionSettings(Section):
    cookie: Annotated[str, matches(COOKIE_NAME, "begin with __Host-, then letters, digits, - and _")] = (
        "__Host-otium_session"
    )
    members: Lifespan = Lifespan(idle_seconds=7 * 86_400, absolute_seconds=30 * 86_400)
    owners: Lifespan = Lifespan(idle_seconds=1_800, absolute_seconds=43_200)


class Signup(Section):
    mode: Literal["off", "open", "domains"] = "off"
    tenant: Annotated[str, AfterValidator(check_tenant)] = "default"
    domains: dict[str, Annotated[str, AfterValidator(check_tenant)]] = {}

    @model_validator(mode="after")
    def check(self) -> Signup:
        for domain in self.domains:
            if normalise_identifier(f"x@{domain}") != f"x@{domain}":
                raise ValueError(f"domains: write {domain!r} in lower case, as in an email")
        if self.mode == "domains" and not self.domains:
            raise ValueError('domains: with mode = "domains" give at least one, like "acme.example" = "acme"')
        return self


class Passwords(Section):
    breach_list: Annotated[str, AfterValidator(check_breach_list)] = ""
    breach_api: Annotated[str, AfterValidator(check_breach_api)] = ""


def check_recipient(text: str) -> str:
    if text and not SENDER_ADDRESS.fullmatch(text):
        raise ValueError('write one plain address, or "" for none')
    return text


class AuditSettings(Section):
    keep_days: int = Field(0, ge=0, le=36_500)
    checkpoint_file: str = ""
    checkpoint_mail: Annotated[str, AfterValidator(check_recipient)] = ""
    spray_accounts: int = Field(10, ge=3, le=40)


class Pages(Section):
    product: str = Field("OtiumWork", min_length=1, max_length=60)
    logo: str = ""
    accent: Annotated[str, matches(COLOUR, "write a colour like #2457c5")] = "#2457c5"
    support: str = ""
    language: str = Field("en", pattern=r"^[a-z]{2,3}(?:_[A-Z]{2})?$")
    paths: dict[str, Annotated[str, AfterValidator(check_page)]] = {}


class Admin(Section):
    listen: Annotated[str, AfterValidator(check_optional_address)] = "127.0.0.1:9464"
    allow_elsewhere: bool = False
    ready_outbox_seconds: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class Access:
    """The allowlists: `owners` normalised, and the gate's rules without the gateway's own pages."""

    owners: frozenset[str] = frozenset()
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
    passwords: Passwords = Passwords()
    signup: Signup = Signup()
    audit: AuditSettings = AuditSettings()
    pages: Pages = Pages()
    admin: Admin = Admin()
    access: Access = Access()
    secrets: tuple[Secret[bytes], ...] = ()
    mail_password: Secret[str] | None = None


# The sections that a file may set; `access` and what is secret come from elsewhere.
FROM_ELSEWHERE: Mapping[str, str] = {
    "access": "the allowlists stand in access.toml",
    "secrets": "secrets come from the environment or $CREDENTIALS_DIRECTORY, never from a file of settings",
    "mail_password": "the mail server's password comes from the environment or $CREDENTIALS_DIRECTORY, never from here",
}
