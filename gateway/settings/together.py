"""Checks across several settings."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from gateway.settings.mistakes import Said
from gateway.settings.record import Settings
from gateway.settings.values import rp_ids_for

MAIL_PASSWORD_VARIABLE = "GATEWAY_MAIL_PASSWORD"  # noqa: S105 - its name, not a secret
MAIL_PASSWORD_CREDENTIAL = "gateway-mail-password"  # noqa: S105
ADDRESS_KEYS = ("listen.addresses", "upstream.address", "admin.listen", "admin.allow_elsewhere")


def check_mail_password(settings: Settings) -> Iterator[Said]:
    """Yield a mistake if the mail server's password is missing. Only processes that send mails call this."""
    if settings.mail.username and settings.mail_password is None:
        where = f"{MAIL_PASSWORD_VARIABLE} or as the credential {MAIL_PASSWORD_CREDENTIAL}"
        yield "mail.username", f"no password set; provide it as {where}"


def check_together(settings: Settings) -> Iterator[Said]:
    """Yield contradictions between the keys of a section."""
    for who in ("members", "owners"):
        lifespan = getattr(settings.sessions, who)
        if lifespan.idle_seconds > lifespan.absolute_seconds:
            yield f"sessions.{who}", "idle_seconds must not be longer than absolute_seconds"
    told = {name.lower() for name in settings.identity.names.values()}
    for name in settings.identity.headers:
        if name.lower() in told:
            yield (
                f"identity.headers.{name}",
                "this name stands in [identity.names], or here, already; take it out there",
            )
        told.add(name.lower())
    for network in settings.listen.trusted_proxies:
        if network != "unix" and ip_network(network).prefixlen == 0:
            yield "listen.trusted_proxies", f"{network} includes everyone, so any client could fake its address"
    if not settings.listen.addresses:
        yield "listen.addresses", "give at least one address"
    if settings.signup.mode == "domains" and not settings.signup.domains:
        yield "signup.domains", 'with mode = "domains" give at least one, like "acme.example" = "acme"'


def check_rp_id(settings: Settings) -> Iterator[Said]:
    rp_id, host = settings.factors.rp_id, settings.public_host
    accepted = rp_ids_for(host)
    if rp_id and rp_id not in accepted:
        reason = f"browsers have no passkeys for {rp_id} at {host}"
        choice = (
            f"take {host}, or a domain above it that is yours" if accepted else "public_url must be a name for that"
        )
        yield "factors.rp_id", f"{reason}; {choice}"


def check_addresses(settings: Settings) -> Iterator[Said]:
    """Check that the application, the gateway and the admin listener have distinct addresses (ADDRESS_KEYS).

    The admin listener is meant for this machine only, and must not be reachable through the public one.
    """
    upstream, admin = settings.upstream.address, settings.admin.listen
    for ours in settings.listen.addresses:
        if reaches(upstream, ours):
            reason = f"the gateway itself listens on {ours}, and would ask itself"
            yield "upstream.address", f"{reason}; give the address on which the application listens"
    if admin and admin in settings.listen.addresses:
        yield "admin.listen", "this address is already used in listen.addresses; use a different one"
    if admin and reaches(upstream, admin):
        yield "admin.listen", "the application is at this address, so everybody could reach it; give another one"
    if admin and not settings.admin.allow_elsewhere and not is_local(admin):
        reason = "other machines could reach this address, and nobody is asked who they are"
        yield (
            "admin.listen",
            f"{reason}; take one on loopback, or set admin.allow_elsewhere if a firewall keeps them out",
        )


def reaches(address: str, listener: str) -> bool:
    """Whether a connection to `address` reaches `listener`, judged by their spelling alone."""
    if address.startswith("unix:") or listener.startswith("unix:"):
        return address == listener
    (host, _, port), (our_host, _, our_port) = address.rpartition(":"), listener.rpartition(":")
    if int(port) != int(our_port):
        return False
    if our_host in ("0.0.0.0", "[::]"):  # noqa: S104 - all addresses of this machine
        return is_local(address) or host == our_host
    loopback = {"localhost", "127.0.0.1", "[::1]"}
    return host.lower() == our_host.lower() or ("localhost" in (host, our_host) and {host, our_host} <= loopback)


def is_local(address: str) -> bool:
    """Whether `address` is reachable from this machine only: a Unix socket, or a literal loopback address."""
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
