"""Files and environment become one frozen Settings object; every mistake is reported at once, by file and key."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.secret import Secret


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Listen(Section):
    addresses: tuple[str, ...] = ("127.0.0.1:8000",)   # host:port, [v6]:port, unix:/path ; systemd sockets are added
    workers: int = Field(2, ge=1, le=64)
    trusted_proxies: tuple[str, ...] = ()               # networks; "unix" trusts peers of Unix sockets
    head_seconds: float = 10
    body_seconds: float = 60
    idle_seconds: float = 75
    drain_seconds: float = 30
    max_head_bytes: int = 32_768
    max_fields: int = 100
    max_target_bytes: int = 8_192
    max_connections: int = 10_000


class Upstream(Section):
    address: str = "127.0.0.1:5000"                     # host:port or unix:/path
    connect_seconds: float = 5
    head_seconds: float = 60
    idle_seconds: float = 60                            # without a byte in a body
    keepalive_seconds: float = 1.5                      # gunicorn closes after 2
    max_connections: int = 512
    audience: str = "otiumwork"                         # aud of the assertion


class StoreSettings(Section):
    url: str = "sqlite:///var/gateway.db"               # or postgresql://…


class Mail(Section):
    host: str = "127.0.0.1"
    port: int = 25
    security: str = "starttls"                          # none | starttls | tls
    username: str = ""
    sender: str = "OtiumWork <no-reply@localhost>"


class Identity(Section):
    user: str = "id"                                    # what Remote-User carries: id | email
    names: dict[str, str] = {}                          # header renames / switched off with ""


class Limits(Section):
    password_failures: int = 5
    password_window_seconds: int = 900
    password_lock_seconds: int = 900
    hashing_threads: int = 1                            # per worker
    hashing_queue: int = 64


class Lifespan(Section):
    idle_seconds: int
    absolute_seconds: int


class SessionSettings(Section):
    cookie: str = "__Host-otium_session"
    members: Lifespan = Lifespan(idle_seconds=7 * 86_400, absolute_seconds=30 * 86_400)
    owners: Lifespan = Lifespan(idle_seconds=1_800, absolute_seconds=43_200)


class Pages(Section):
    product: str = "OtiumWork"
    logo: str = ""
    accent: str = "#2457c5"
    support: str = ""
    language: str = "en"
    paths: dict[str, str] = {}                          # name of a page -> its path; "" switches it off


class Settings(Section):
    public_url: str = "http://localhost:8000"
    hosts: tuple[str, ...] = ()
    listen: Listen = Listen()
    upstream: Upstream = Upstream()
    store: StoreSettings = StoreSettings()
    mail: Mail = Mail()
    identity: Identity = Identity()
    limits: Limits = Limits()
    sessions: SessionSettings = SessionSettings()
    pages: Pages = Pages()
    secrets: tuple[Secret[bytes], ...] = ()             # the newest first
