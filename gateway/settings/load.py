"""Reads both files, the environment and the secrets. The environment overrides the files.

All mistakes are collected, each with its file and key (or variable), the reason, and how to correct it. No message
contains a secret.
"""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.model.secret import Secret
from gateway.settings.access import check_owner, read_access
from gateway.settings.mistakes import BadSettings, Place, Problem, Said, explain, is_within, key_of
from gateway.settings.record import FROM_ELSEWHERE, Origin, Settings
from gateway.settings.together import (
    ADDRESS_KEYS,
    MAIL_PASSWORD_CREDENTIAL,
    MAIL_PASSWORD_VARIABLE,
    check_addresses,
    check_mail_password,
    check_rp_id,
    check_together,
)

SETTINGS_FILE = "gateway.toml"
ACCESS_FILE = "access.toml"
PREFIX = "GATEWAY_"
OWNERS_VARIABLE = "OPS_ACCESS_EMAILS"
SECRET_VARIABLE = "GATEWAY_SECRET"  # noqa: S105 - its name, not a secret
SECRET_CREDENTIAL = "gateway-secret"  # noqa: S105
NOT_SETTINGS = frozenset((SECRET_VARIABLE, MAIL_PASSWORD_VARIABLE, "GATEWAY_CONFIG", "GATEWAY_COMPILED"))
CREDENTIAL_VARIABLE = "GATEWAY_CREDENTIAL_"  # followed by the name of a secret in [identity.headers]
MIN_SECRET_BYTES = 32


def load(
    config_dir: Path, environ: Mapping[str, str], extra_checks: Callable[[Settings], Iterable[Said]] = lambda _: ()
) -> Settings:
    """Return the settings of `config_dir` and `environ`, with all the secrets that `serve` needs.

    `extra_checks` yields further mistakes. Raises BadSettings, as `load_for_command` does.
    """

    def look(settings: Settings) -> Iterator[Said]:
        yield from check_mail_password(settings)
        yield from extra_checks(settings)

    return _load(config_dir, environ, look, is_serving=True)


def load_for_command(config_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings for a command that neither serves nor sends mails; only the gateway's own secret is required.

    A missing gateway.toml means the defaults. A missing access.toml is an error: without the list of owners, owners
    could sign in with one factor instead of three.

    Raises BadSettings with every problem found.
    """
    return _load(config_dir, environ, lambda _: (), is_serving=False)


def _load(
    config_dir: Path,
    environ: Mapping[str, str],
    extra_checks: Callable[[Settings], Iterable[Said]],
    *,
    is_serving: bool,
) -> Settings:
    problems: list[Problem] = []
    access_file = config_dir / ACCESS_FILE
    if not may_exist(access_file):
        reason = "it is missing; copy the one that came with the gateway, and edit who may open what"
        problems.append(Problem(str(access_file), "", reason))
    access, access_mistakes = read_access(read_toml(access_file, problems) or {}, read_owners(environ, problems))
    problems += [Problem(str(access_file), key, reason) for key, reason in access_mistakes]
    secrets = read_secrets(environ, problems)
    elsewhere = {"access": access, "secrets": secrets, "mail_password": read_mail_password(environ, problems)}
    file = config_dir / SETTINGS_FILE
    in_file = read_toml(file, problems)
    given = in_file or {}
    origin = Origin(str(file), overlay(given, environ))
    settings, mistakes = validate(given, {**elsewhere, "origin": origin})
    settings = settings.model_copy(
        update={"credentials": read_credentials(settings, environ, problems if is_serving else [])}
    )
    said = [(key_of(place), reason) for place, reason in mistakes]
    if in_file is not None:
        said += check_combinations(settings, [key_of(setting_at(place)) for place, _ in mistakes], extra_checks)
    problems += [locate_problem(key, reason, origin) for key, reason in said]
    if problems:
        raise BadSettings(problems)
    return settings


def may_exist(file: Path) -> bool:
    """Whether the file exists, or may exist: if we lack permission to look, `read_toml` reports it."""
    try:
        return file.exists()
    except OSError:
        return True


def read_toml(file: Path, problems: list[Problem]) -> dict[str, Any] | None:
    """Return the parsed file, {} if there is none. If it can't be read, add a problem and return None."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem(str(file), "", f"this is not TOML: {error}"))
    except OSError as error:
        problems.append(Problem(str(file), "", unreadable(error)))
    return None


def unreadable(error: OSError) -> str:
    return f"it can't be read: {error.strerror}; let this user read it"


def overlay(given: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Write the variables' values into `given`. Returns the variable that each key came from."""
    origins = {}
    for variable, text in environ.items():
        if not is_setting(variable):
            continue
        *sections, key = variable.removeprefix(PREFIX).lower().split("__")
        place: Any = given
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[key] = read_value(text)
            origins[".".join((*sections, key))] = variable
    return origins


def is_setting(variable: str) -> bool:
    """Whether a variable sets a key of gateway.toml."""
    return variable.startswith(PREFIX) and variable not in NOT_SETTINGS and not variable.startswith(CREDENTIAL_VARIABLE)


def read_value(text: str) -> Any:
    """Parse a variable as a TOML value (a number, true, a list in brackets); anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_owners(environ: Mapping[str, str], problems: list[Problem]) -> frozenset[str]:
    """Return the owners listed in the environment, normalised."""
    found = set()
    for email in filter(None, map(str.strip, environ.get(OWNERS_VARIABLE, "").split(","))):
        try:
            found.add(check_owner(email))
        except ValueError as error:
            problems.append(Problem("environment", OWNERS_VARIABLE, str(error)))
    return frozenset(found)


def validate(given: dict[str, Any], elsewhere: Mapping[str, Any]) -> tuple[Settings, list[tuple[Place, str]]]:
    """Return the settings and the mistakes. Wrong keys get their defaults, so that the other keys are checked too."""
    mistakes: list[tuple[Place, str]] = [((name,), reason) for name, reason in FROM_ELSEWHERE.items() if name in given]
    for place, _ in mistakes:
        remove_setting(given, place)
    try:
        return Settings.model_validate({**given, **elsewhere}), mistakes
    except ValidationError as error:
        found = list(explain(error, Settings))
    for place, _ in found:
        remove_setting(given, place)
    return Settings.model_validate({**given, **elsewhere}), mistakes + found


def remove_setting(given: dict[str, Any], place: Place) -> None:
    """Delete the whole setting that contains `place`."""
    *sections, key = setting_at(place)
    for section in sections:
        given = given[section]
    given.pop(key, None)


def setting_at(place: Place) -> tuple[str, ...]:
    """Return the path of the setting that contains `place`: a key of Settings, or of one of its sections."""
    return tuple(part for part in place[:2] if isinstance(part, str))


def check_combinations(
    settings: Settings, wrong: list[str], extra_checks: Callable[[Settings], Iterable[Said]]
) -> list[Said]:
    """Return contradictions between keys, except those that involve a setting already known to be `wrong`."""

    def is_wrong(key: str) -> bool:
        return any(is_within(key, setting) for setting in wrong)

    found = [*check_together(settings), *extra_checks(settings)]
    if not any(map(is_wrong, ADDRESS_KEYS)):
        found += check_addresses(settings)
    if not is_wrong("public_url"):
        found += check_rp_id(settings)
    return [(key, reason) for key, reason in found if not is_wrong(key)]


def locate_problem(key: str, reason: str, origin: Origin) -> Problem:
    """Attribute a mistake to the variable that set the key, or else to the file. One without a key is the machine's."""
    if not key:
        return Problem("here", "", reason)
    for name, variable in origin.variables.items():
        if is_within(key, name):
            return Problem("environment", variable + key.removeprefix(name), reason)
    for name, variable in origin.variables.items():
        if is_within(name, key):
            return Problem("environment", variable, reason)
    return Problem(origin.file, key, reason)


def read_secrets(environ: Mapping[str, str], problems: list[Problem]) -> tuple[Secret[bytes], ...]:
    """Return the secrets, newest first: one per line, from the credential's file or else from the variable."""
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
    """Return the mail server's password, a single line, or None."""
    where, text = read_credential(environ, MAIL_PASSWORD_CREDENTIAL, MAIL_PASSWORD_VARIABLE, problems)
    password = (text or "").strip("\r\n")
    if "\ufffd" in password or not all(ch.isprintable() for ch in password):
        problems.append(Problem(where, MAIL_PASSWORD_VARIABLE, "a password is one line of text in UTF-8"))
    return Secret(password) if password else None


def read_credentials(settings: Settings, environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Secret[str]]:
    """Return the secrets that the templates of [identity.headers] use, by name."""
    found = {}
    for name in {name for template in settings.identity.headers.values() for name in template.credentials}:
        variable = CREDENTIAL_VARIABLE + name.upper().replace("-", "_")
        where, text = read_credential(environ, name, variable, problems)
        value = (text or "").strip("\r\n")
        if text is not None and not (value and value.isascii() and value.isprintable()):
            reason = f"give the secret in this variable, or as the credential {name}: one line of printable ASCII"
            problems.append(Problem(where, variable, reason))
        found[name] = Secret(value)
    return found


def read_credential(
    environ: Mapping[str, str], credential: str, variable: str, problems: list[Problem]
) -> tuple[str, str | None]:
    """Return where a secret was found, and its text. systemd's credential overrides the variable.

    If the credential's file can't be read, add a problem and return None as text.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        file = Path(folder) / credential
        try:
            return str(file), file.read_text("utf-8", "replace")
        except FileNotFoundError:
            pass
        except OSError as error:
            problems.append(Problem(str(file), "", unreadable(error)))
            return str(file), None
    return "environment", environ.get(variable, "")


def read_secret(line: str) -> bytes | None:
    """Decode a base64 line. Returns None if it is too short or looks typed.

    ASCII text and repetition count as typed; random bytes contain neither.
    """
    try:
        secret = base64.b64decode(line, altchars=b"-_", validate=True)
    except ValueError:  # also raised for non-ASCII text
        return None
    is_typed = secret.isascii() or secret[: len(secret) // 2] in secret[1:]
    return secret if len(secret) >= MIN_SECRET_BYTES and len(set(secret)) >= 12 and not is_typed else None
