"""A backup: a folder with a consistent copy of the store, the settings, and a manifest.

It contains no secrets. The manifest lists those that are needed, and the public names of the keys that encrypt the
store's secrets, so that a wrong secret is detected before anything is replaced.

A restore would bring back sessions that have ended and links that were used since the backup. It therefore ends every
session and every link, and holds back the mails that were queued. Other outdated rows, such as roles and used backup
codes, can't be detected; docs/operations.md says what to check.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select, union

from gateway import __version__
from gateway.accounts import rows as account_rows
from gateway.accounts.change import end_sessions
from gateway.actions.action import Action
from gateway.app.nouns import SEALED, STORED
from gateway.crypto.sealing import NAME_BYTES, key_names
from gateway.settings import Settings
from gateway.settings.load import (
    ACCESS_FILE,
    OWNERS_VARIABLE,
    SECRET_CREDENTIAL,
    SECRET_VARIABLE,
    SETTINGS_FILE,
    is_setting,
)
from gateway.settings.together import MAIL_PASSWORD_CREDENTIAL, MAIL_PASSWORD_VARIABLE
from gateway.store import Transaction
from gateway.store.copying import copy_to, sync
from gateway.store.location import locate, open_private
from gateway.store.schema import sessions
from gateway.store.stored import Kept
from gateway.store.version import NEWEST, read_version

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
FORMAT = 1
CHUNK = 1_048_576
PASSWORD_IN_URL = re.compile(r"""(postgres(?:ql)?://[^:@/\s"']*):[^@\s"']+@""")


class Unusable(Exception):
    """The folder contains no usable backup. The message says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` are SHA-256 sums by name; `secrets` and `environment` are names of what is needed but not here."""

    format: int
    version: str
    made_at: str
    schema: str
    secrets: list[str]
    keys: list[str]
    environment: list[str]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a store, read before it is copied: its schema version, and the names (hex) of the keys in use."""

    schema: str
    keys: list[str]


async def look(tx: Transaction) -> Facts:
    vital = (sealed for sealed in SEALED.values() if sealed.is_vital)
    used = union(*(select(func.substr(sealed.column, 1, NAME_BYTES)).where(sealed.in_use) for sealed in vital))
    names = (await tx.execute(used)).scalars().all()
    return Facts((await tx.run_sync(read_version)).schema, sorted(bytes(name).hex() for name in names))


def make(
    settings: Settings, config: Path, folder: Path, facts: Facts, environ: Mapping[str, str], now: int
) -> Manifest:
    """Make a backup in the new folder `folder`, writing its manifest last. Raises StoreUnavailable and OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=False)
    files = [copy_to(locate(settings.store.direct), folder), *copy_settings(config, folder)]
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        made_at=datetime.fromtimestamp(now, UTC).isoformat(),
        schema=facts.schema,
        secrets=list(needed_secrets(settings)),
        keys=facts.keys,
        environment=sorted(name for name in environ if name == OWNERS_VARIABLE or is_setting(name)),
        files={file.name: sum_of(file) for file in files},
    )
    write_private(folder / SUMS, "".join(f"{total}  {name}\n" for name, total in manifest.files.items()))
    write_private(folder / MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
    for file in folder.iterdir():
        sync(file)
    sync(folder)
    return manifest


def copy_settings(config: Path, folder: Path) -> list[Path]:
    """Copy the settings files. Passwords in databases' URLs are removed."""
    copied = []
    for name in (SETTINGS_FILE, ACCESS_FILE):
        if (config / name).exists():
            text = (config / name).read_text("utf-8")
            write_private(folder / name, PASSWORD_IN_URL.sub(r"\1@", text))
            copied.append(folder / name)
    return copied


def needed_secrets(settings: Settings) -> list[str]:
    named = [f"{SECRET_VARIABLE}, or the credential {SECRET_CREDENTIAL}"]
    if settings.mail_password is not None:
        named.append(f"{MAIL_PASSWORD_VARIABLE}, or the credential {MAIL_PASSWORD_CREDENTIAL}")
    named += [f"the credential {name}, or its variable" for name in sorted(settings.credentials)]
    for key, url in (("url", settings.store.url), ("direct_url", settings.store.direct_url)):
        if PASSWORD_IN_URL.match(url):
            named.append(f"the password in store.{key}")
    return named


def read(folder: Path, settings: Settings) -> Manifest:
    """Return the manifest of a complete backup that is usable with `settings`. Raises Unusable."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise Unusable(f"{folder} isn't a complete backup: {MANIFEST} is missing or unreadable") from error
    for name, total in manifest.files.items():
        if not (folder / name).is_file() or sum_of(folder / name) != total:
            raise Unusable(f"{folder / name} has been changed or is incomplete")
    if manifest.format != FORMAT or manifest.schema > NEWEST:
        raise Unusable(f"the backup was made by version {manifest.version}; install that version, or a later one")
    given = {name.hex() for name in key_names(settings.secrets)}
    if not given.issuperset(manifest.keys):
        reason = "this backup was made with a different secret, which is needed to read TOTP secrets"
        raise Unusable(f"{reason}. Give it as one more line of {SECRET_VARIABLE}, below the one in use")
    return manifest


async def settle(action: Action) -> int:
    """End sessions and links, which may have ended since the backup. Returns the number of sessions."""
    tx, ended = action.tx, 0
    signed_in = select(sessions.c.account).where(sessions.c.ended_at.is_(None)).distinct()
    for account_id in (await tx.execute(signed_in)).scalars().all():
        account = await account_rows.find(tx, account_id)
        if account is not None:
            ended += await end_sessions(action, account)
    for stored in STORED:
        if not isinstance(stored.restored, Kept):
            await tx.execute(stored.restored(action.now))
    return ended


def sum_of(file: Path) -> str:
    total = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()


def write_private(file: Path, text: str) -> None:
    with os.fdopen(open_private(file), "w", encoding="utf-8") as writer:
        writer.write(text)
