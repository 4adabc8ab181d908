"""Checks before anything serves: does this machine suit the settings, and are they consistent?

`problems_of` yields what prevents a start or a reload, `advice_on` yields warnings. Both `serve` and `check-config` use
them.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import ssl
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from gateway.app.factors import FACTORS
from gateway.process import database_files
from gateway.settings.load import SECRET_CREDENTIAL, SECRET_VARIABLE
from gateway.settings.mistakes import Said, key_of
from gateway.settings.places import TEMPLATES
from gateway.settings.record import Settings
from gateway.settings.together import is_local
from gateway.store.location import PostgreSQL, SQLite, locate
from gateway.store.readiness import NotReady, check_file
from gateway.web.contrast import ENOUGH, measure
from gateway.web.routes import Route

RELEASED_AT = 1_767_225_600  # UTC seconds; a clock that shows an earlier time is wrong
CLOCK_SECONDS = 300
LEAST_ITERATIONS = 600_000  # OWASP, Password Storage Cheat Sheet: PBKDF2-HMAC-SHA256


def problems_of(settings: Settings, routes: Iterable[Route[Any]], now: int) -> Iterator[Said]:
    """Yield everything that prevents serving. `routes` are those of all pages, with their default paths."""
    yield from check_machine(now)
    yield from check_pages(settings, {route.name: route for route in routes})
    for number, address in enumerate(settings.listen.addresses):
        yield from check_address(key_of(("listen", "addresses", number)), address)
    if settings.admin.listen:
        yield from check_address("admin.listen", settings.admin.listen)
    yield from check_files(settings)


def advice_on(settings: Settings, environ: Mapping[str, str]) -> Iterator[Said]:
    """Yield warnings: likely mistakes, and faults that don't justify locking everybody out."""
    yield from check_public_url(settings)
    if not settings.access.owners:
        reason = "there are no owners, so /ops opens for no account; name one in access.toml or OPS_ACCESS_EMAILS"
        yield "owners", reason
    iterations = settings.limits.hashing_iterations
    if iterations < LEAST_ITERATIONS:
        reason = f"with {iterations:,}, stolen password hashes are guessed quickly"
        yield "limits.hashing_iterations", f"{reason}; OWASP advises {LEAST_ITERATIONS:,} or more"
    yield from check_accent(settings.pages.accent)
    if not settings.mail.is_on:
        yield from check_without_mail(settings)
    location = locate(settings.store.url)
    if isinstance(location, SQLite) and settings.store.sessions == "strict":
        yield "store.sessions", "it changes nothing on SQLite, where every request is checked anyway; leave it out"
    if isinstance(location, PostgreSQL):
        yield from database_files.advice_on(location.parts)
    for folder in FACTORS:
        yield from folder.advise(settings)
    if settings.audit.checkpoint_file:
        yield from check_checkpoint_file(Path(settings.audit.checkpoint_file))
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / SECRET_CREDENTIAL
    if environ.get("CREDENTIALS_DIRECTORY") and credential.exists() and credential.stat().st_mode & stat.S_IROTH:
        yield SECRET_VARIABLE, f"everybody on this machine can read {credential}; chmod 0400 it"


def check_accent(accent: str) -> Iterator[Said]:
    """Yield advice if text in a colour that follows from the accent is hard to read."""
    stylesheet = (TEMPLATES / "static" / "gateway.css").read_text(encoding="utf-8")
    worst = min(measure(accent, stylesheet), key=lambda contrast: contrast.ratio)
    if not worst.is_enough:
        reason = (
            f"{worst.text} have a contrast of {worst.ratio:.1f} to 1, and {ENOUGH} is needed ({worst.scheme} pages)"
        )
        yield "pages.accent", f"{reason}; choose another colour; otium-gateway branding preview FOLDER shows it"


def check_machine(now: int) -> Iterator[Said]:
    if HttpRequestParser is HttpRequestParserPy:
        # aiohttp's Python parser accepts requests that its C parser refuses.
        yield "", "aiohttp lacks its parser in C; install it from a wheel for this platform"
    if importlib.util.find_spec("httptools.parser.parser") is None:
        yield "", "httptools lacks its parser in C; install it from a wheel for this platform"
    if now < RELEASED_AT:
        yield "", "the clock of this machine is years behind; set it (timedatectl), or start after time is synchronised"
    if not (TEMPLATES / "web/frame.html").is_file():
        yield "", f"the pages' templates are missing in {TEMPLATES}; install the package anew"


def check_pages(settings: Settings, routes: Mapping[str, Route[Any]]) -> Iterator[Said]:
    for name, path in settings.pages.paths.items():
        route = routes.get(name)
        if route is None:
            yield f"pages.paths.{name}", f"there is no such page; there are {', '.join(sorted(routes))}"
        elif not path and route.is_needed:
            yield f"pages.paths.{name}", "nobody can sign in without this page; it can be moved, and not switched off"
        elif path and replace(route, path=path).variable != route.variable:
            end = f"end in /{{{route.variable}}}" if route.variable else "have no segment in braces"
            yield f"pages.paths.{name}", f"the address of this page must {end}, like {route.path}"


def check_address(key: str, address: str) -> Iterator[Said]:
    """Check that this machine has the address. EADDRINUSE is no mistake: we may be using it ourselves."""
    if address.startswith("unix:"):
        folder = Path(address.removeprefix("unix:")).parent
        if not os.access(folder, os.W_OK | os.X_OK):
            yield key, f"can't create a socket in {folder}; create the folder and make it writable for this user"
        return
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                yield key, f"this machine can't listen there: {error.strerror}; take an address and port that it has"


def check_files(settings: Settings) -> Iterator[Said]:
    if settings.mail.ca_file:
        try:
            ssl.create_default_context(cafile=settings.mail.ca_file)
        except (OSError, ssl.SSLError) as error:
            yield "mail.ca_file", f"it holds no certificates that can be read (PEM): {error.strerror or error}"
    match locate(settings.store.url):
        case SQLite() as location:
            try:
                check_file(location)
            except NotReady as error:
                yield "store.url", str(error)
        case PostgreSQL() as location:
            yield from database_files.problems_of(location.parts)


def check_checkpoint_file(file: Path) -> Iterator[Said]:
    """Check that the file can be appended to. A failure would otherwise be noticed only when the file is needed."""
    if os.path.exists(file):
        if os.path.isdir(file) or not os.access(file, os.W_OK):
            yield "audit.checkpoint_file", f"this user can't write to {file}; give it the file, or take another one"
    elif not os.access(file.parent, os.W_OK | os.X_OK):
        reason = f"no file can be made in {file.parent}; make the folder, and let this user write there"
        yield "audit.checkpoint_file", reason


def check_without_mail(settings: Settings) -> Iterator[Said]:
    """Yield what does not work without a mail server."""
    reason = "there is no mail server, so nobody is told by mail, invited, or sent a link for another password or email"
    owners = "owners sign in with `otium-gateway account unlock --email EMAIL --one-time-link --confirm`"
    yield "mail.host", f"{reason}; {owners}"
    if settings.signup.mode != "off":
        yield (
            "signup.mode",
            "signups are confirmed by mail, and there is no mail server (mail.host): nobody can sign up",
        )
    if settings.audit.checkpoint_mail:
        yield "audit.checkpoint_mail", "no checkpoint gets there: there is no mail server (mail.host)"


def check_public_url(settings: Settings) -> Iterator[Said]:
    """Check that public_url, TLS and the trusted proxies are consistent."""
    listen, public = settings.listen, urlsplit(settings.public_url)
    is_https = public.scheme == "https"
    elsewhere = [address for address in listen.addresses if not is_local(address)]
    if is_https and not listen.trusted_proxies:
        reason = "public_url is https, so a proxy in front ends TLS, and it is not named here"
        yield (
            "listen.trusted_proxies",
            f"{reason}: everyone would appear to come from the proxy's address and share its limits",
        )
    if not is_https and elsewhere:
        reason = f"public_url is for this machine alone, and other machines reach {elsewhere[0]} without TLS"
        yield "listen.addresses", f"{reason}: listen on 127.0.0.1, or put a proxy with TLS in front"
    port, ports = str(public.port or 80), [address.rpartition(":")[2] for address in listen.addresses]
    if not is_https and not listen.trusted_proxies and port not in ports:
        reason = f"the gateway doesn't listen on port {port}, and forms are refused at any other address"
        yield "public_url", f"{reason}; correct it, or listen.addresses"
    has_unix = any(address.startswith("unix:") for address in listen.addresses)
    if is_https and has_unix and "unix" not in listen.trusted_proxies:
        yield "listen.trusted_proxies", 'who connects to our Unix socket has no address; add "unix" for the proxy'
    for network in listen.trusted_proxies:
        if network != "unix" and ip_network(network).prefixlen < 8:
            yield "listen.trusted_proxies", f"{network} is far too large: anyone in it could fake their address"


def check_newest(newest: int | None, now: int) -> Iterator[Said]:
    """`newest` is when the store was last written to, in UTC seconds; None if never."""
    if newest is not None and newest > now + CLOCK_SECONDS:
        ahead = newest - now
        reason = f"the store was written to {ahead} seconds after what this clock says; is it behind?"
        yield "", f"{reason} Codes and sessions go by it; set it (timedatectl)"
