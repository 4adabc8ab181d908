"""Real WebDAV, Git and CalDAV servers as one application: WsgiDAV below /dav, Git below /git, Radicale otherwise.

Run by gunicorn. DAV_FOLDER is where they keep what they are given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import radicale
from radicale import config
from wsgidav.wsgidav_app import WsgiDAVApp

from tests.support.git_http import git_in

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def wsgidav_in(folder: Path) -> Application:
    return WsgiDAVApp(
        {
            "provider_mapping": {"/dav": str(folder)},
            "simple_dc": {"user_mapping": {"*": True}},  # open to everybody: the gateway decides
            "lock_storage": True,
            "verbose": 1,
            "logging": {"enable": True},
        }
    )


def radicale_in(folder: Path) -> Application:
    configuration = config.load()
    configuration.update(
        {"auth": {"type": "http_remote_user"}, "storage": {"filesystem_folder": str(folder)}}, "tests", privileged=True
    )
    return radicale.Application(configuration)


def create_app() -> Application:
    folder = Path(os.environ["DAV_FOLDER"])
    files, calendars = wsgidav_in(folder / "files"), radicale_in(folder / "calendars")
    repositories = git_in(folder / "repositories", "/git")

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/git/"):
            return repositories(environ, start_response)
        if not environ["PATH_INFO"].startswith("/dav"):
            return calendars(environ, start_response)
        answer = files(environ, start_response)
        # WsgiDAV answers some requests with "", which gunicorn does not take.
        return (piece.encode() if isinstance(piece, str) else piece for piece in answer)

    return application
