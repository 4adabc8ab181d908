"""Reads the two files, the environment and the secrets; environment beats file.

Nothing stops at the first mistake: all of them are collected, each with the file and key (or the variable) that
is wrong, the reason, and what would do. No message ever repeats a secret.
"""

from __future__ import annotations

import base64
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.secret import Secret
from gateway.settings.access import read_access
from gateway.settings.record import FROM_ELSEWHERE, Section, Settings

SETTINGS_FILE = "gateway.toml"
ACCESS_FILE = "access.toml"
PREFIX = "GATEWAY_"
OWNERS_VARIABLE = "OPS_ACCESS_EMAILS"
SECRET_VARIABLE = "GATEWAY_SECRET"  # noqa: S105 - its name, not a secret
SECRET_CREDENTIAL = "gateway-secret"  # noqa: S105
MAIL_PASSWORD_VARIABLE = "GATEWAY_MAIL_PASSWORD"  # noqa: S105
MAIL_PASSWORD_CREDENTIAL = "gateway-mail-password"  # noqa: S105
NOT_SETTINGS = frozenset((SECRET_VARIABLE, MAIL_PASSWORD_VARIABLE, "GATEWAY_CONFIG"))
MIN_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong where: `file` is a file's path or "environment", `key` may be "" for the whole file."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


class BadSettings(Exception):
    """All that is wrong with the settings; nothing was changed by reading them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def load(config_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of `config_dir` and `environ`.

    Without gateway.toml the defaults hold. Without access.toml nothing does: a list of owners that went missing
    would turn owners into people who need one factor instead of three.

    Raises BadSettings with every problem found.
    """
    problems: list[Problem] = []
    file = config_dir / SETTINGS_FILE
    given = read_toml(file, problems)
    from_environment = overlay(given, environ)
    owners = [part.strip() for part in environ.get(OWNERS_VARIABLE, "").split(",") if part.strip()]
    access_file = config_dir / ACCESS_FILE
    if not is_there(access_file):
        problems.append(Problem(str(access_file), "", "it is missing; it says who may open what, and must be there"))
    access, access_problems = read_access(read_toml(access_file, problems), owners)
    problems += [
        Problem("environment" if key == OWNERS_VARIABLE else str(access_file), key, reason)
        for key, reason in access_problems
    ]
    secrets = read_secrets(environ, problems)
    elsewhere = {"access": access, "secrets": secrets, "mail_password": read_mail_password(environ, problems)}
    settings = validate(given, elsewhere, str(file), from_environment, problems)
    if settings is not None:
        problems += [Problem(str(file), key, reason) for key, reason in check_together(settings)]
    if problems or settings is None:
        raise BadSettings(problems)
    return settings


def is_there(file: Path) -> bool:
    """Whether there is a file; one that we may not look for is told of when it is read."""
    try:
        return file.exists()
    except OSError:
        return True


def read_toml(file: Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem(str(file), "", f"this is not TOML: {error}"))
    except OSError as error:
        problems.append(Problem(str(file), "", f"it can't be read: {error.strerror}"))
    return {}


def overlay(given: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put what the environment says over `given`; return which keys came from which variable."""
    origins = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        *sections, key = variable.removeprefix(PREFIX).lower().split("__")
        place: Any = given
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[key] = read_value(text)
            origins[".".join((*sections, key))] = variable
    return origins


def read_value(text: str) -> Any:
    """A variable holds what the file would: a number, true, a list in brackets; anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def validate(
    given: dict[str, Any],
    elsewhere: Mapping[str, Any],
    file: str,
    from_environment: Mapping[str, str],
    problems: list[Problem],
) -> Settings | None:
    for name, reason in FROM_ELSEWHERE.items():
        if name in given:
            problems.append(Problem(file, name, reason))
            del given[name]
    try:
        return Settings.model_validate({**given, **elsewhere})
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            key = ".".join(str(part) for part in detail["loc"])
            variable = from_environment.get(key)
            where = ("environment", variable) if variable else (file, key)
            problems.append(Problem(*where, reason_of(detail["type"], detail["msg"], detail["loc"])))
    return None


def reason_of(kind: str, message: str, place: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        names = names_at(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), names, n=1)
        return (
            f"there is no such key; did you mean {near[0]}?"
            if near
            else f"there is no such key; there are {', '.join(names)}"
        )
    return message.removeprefix("Value error, ").removeprefix("Input ")


def names_at(place: tuple[int | str, ...]) -> list[str]:
    model: type[Section] = Settings
    for part in place:
        found = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if not (isinstance(found, type) and issubclass(found, Section)):
            return []
        model = found
    return [name for name in model.model_fields if name not in FROM_ELSEWHERE]


def read_secrets(environ: Mapping[str, str], problems: list[Problem]) -> tuple[Secret[bytes], ...]:
    """Return the secrets, the newest first: a line each, in the credential's file or else in the variable."""
    where, text = read_credential(environ, SECRET_CREDENTIAL, SECRET_VARIABLE, problems)
    if text is None:
        return ()
    if not text.strip():
        reason = "there is no secret; make one with `otium-gateway keys create` and give it in this variable"
        problems.append(Problem("environment", SECRET_VARIABLE, f"{reason}, or as the credential {SECRET_CREDENTIAL}"))
        return ()
    found = [read_secret(line) for line in text.split()]
    if any(secret is None for secret in found):
        reason = (
            f"a secret is at least {MIN_SECRET_BYTES} random bytes in base64; `otium-gateway keys create` makes one"
        )
        problems.append(Problem(where, SECRET_VARIABLE, reason))
    return tuple(Secret(secret) for secret in found if secret is not None)


def read_mail_password(environ: Mapping[str, str], problems: list[Problem]) -> Secret[str] | None:
    """Return the password for the mail server, if there is one: a single line."""
    where, text = read_credential(environ, MAIL_PASSWORD_CREDENTIAL, MAIL_PASSWORD_VARIABLE, problems)
    password = (text or "").strip("\r\n")
    if "\ufffd" in password or not all(ch.isprintable() for ch in password):
        problems.append(Problem(where, MAIL_PASSWORD_VARIABLE, "a password is one line of text in UTF-8"))
    return Secret(password) if password else None


def read_credential(
    environ: Mapping[str, str], credential: str, variable: str, problems: list[Problem]
) -> tuple[str, str | None]:
    """Return where a secret was found and its text: systemd's credential first, else the variable.

    The text is None, and a problem more is known, where there is a file that can't be read.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        file = Path(folder) / credential
        try:
            return str(file), file.read_text("utf-8", "replace")
        except FileNotFoundError:
            pass
        except OSError as error:
            reason = f"it can't be read: {error.strerror}; let this user read it"
            problems.append(Problem(str(file), "", reason))
            return str(file), None
    return "environment", environ.get(variable, "")


def read_secret(line: str) -> bytes | None:
    """Return the bytes of a base64 line, if they are enough and not obviously made by hand.

    What reads as text, or repeats itself, was typed: random bytes do neither.
    """
    try:
        secret = base64.b64decode(line, altchars=b"-_", validate=True)
    except ValueError:  # also for what is not ASCII
        return None
    is_typed = secret.isascii() or secret[: len(secret) // 2] in secret[1:]
    return secret if len(secret) >= MIN_SECRET_BYTES and len(set(secret)) >= 12 and not is_typed else None


def check_together(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (key, reason) for what only shows when several keys are seen together."""
    for who in ("members", "owners"):
        lifespan = getattr(settings.sessions, who)
        if lifespan.idle_seconds > lifespan.absolute_seconds:
            yield f"sessions.{who}", "idle_seconds is longer than absolute_seconds, so it would never count"
    paths = [path for path in settings.pages.paths.values() if path]
    if len(set(paths)) < len(paths):
        yield "pages.paths", "two pages have the same path"
    if settings.mail.username and settings.mail_password is None:
        where = f"{MAIL_PASSWORD_VARIABLE} or as the credential {MAIL_PASSWORD_CREDENTIAL}"
        yield "mail.username", f"there is no password for it; give it in {where}"
    if settings.mail.ca_file and not Path(settings.mail.ca_file).is_file():
        yield "mail.ca_file", "there is no such file"
    for network in settings.listen.trusted_proxies:
        if network != "unix" and ip_network(network).prefixlen == 0:
            yield "listen.trusted_proxies", f"{network} is everybody, and each could say to be anybody else"
    if not settings.listen.addresses:
        yield "listen.addresses", "give at least one address"
    yield from check_admin(settings)


def check_admin(settings: Settings) -> Iterator[tuple[str, str]]:
    """The admin listener is for this machine, and no way leads to it from the public one."""
    address = settings.admin.listen
    if address and address in settings.listen.addresses:
        yield "admin.listen", "people are served on this address; give another one"
    if address and address == settings.upstream.address:
        yield "admin.listen", "the application is at this address, so everybody could reach it; give another one"
    if address and not settings.admin.allow_elsewhere and not is_local(address):
        reason = "other machines could reach this address, and nobody is asked who they are"
        yield (
            "admin.listen",
            f"{reason}; take one on loopback, or set admin.allow_elsewhere if a firewall keeps them out",
        )


def is_local(address: str) -> bool:
    """Whether only this machine reaches `address`: a Unix socket, or an address on loopback written as such."""
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
