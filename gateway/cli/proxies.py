"""What a proxy in front has to know of the settings: the parts of its files that follow from where the pages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli.common import Config, settings_of

if TYPE_CHECKING:
    from gateway.settings import Settings

program = typer.Typer(no_args_is_help=True, help="What a proxy in front has to know of the running settings.")


@program.callback()
def group() -> None:
    """What a proxy in front has to know of the running settings."""


@program.command()
def nginx(config: Config = None) -> None:
    """Print the parts of config/nginx*.conf that follow from [pages]: the log's map, and the location of our pages."""
    settings = settings_of(config)
    typer.echo("# In nginx.conf and nginx-auth-request.conf: the log names no secret of a mailed link.")
    typer.echo(log_map(settings))
    typer.echo("# In nginx-auth-request.conf: the location of the gateway's own pages.")
    typer.echo(f"location {pages_location(settings)} {{ … }}")


@program.command()
def caddy(config: Config = None) -> None:
    """Print the part of config/Caddyfile.forward-auth that follows from [pages]: the matcher of our pages."""
    typer.echo(pages_matcher(settings_of(config)))


def log_map(settings: Settings) -> str:
    """Return nginx's map from the address that was asked for to what the log may show of it."""
    from gateway.app.services import Services
    from gateway.web.routes import secret_parents

    parents = "|".join(escape(parent.strip("/")) for parent in secret_parents(Services(settings).routes.values()))
    return (
        "map $request_uri $otium_shown {\n"
        f'    "~^(?<otium_page>/({parents})/)" "$otium_page*";\n'
        '    "~^(?<otium_path>[^?]*)" $otium_path;\n'
        "}"
    )


def pages_location(settings: Settings) -> str:
    """Return the pattern of nginx's location for all pages, with whatever lies below them."""
    return f'~ "^(?:{"|".join(map(escape, page_roots(settings)))})(?:/|$)"'


def pages_matcher(settings: Settings) -> str:
    """Return Caddy's matcher for the same."""
    return "\n".join(("@pages {", *(f"\tpath {root} {root}/*" for root in page_roots(settings)), "}"))


def page_roots(settings: Settings) -> list[str]:
    """Return the paths at or below which every page lies, but for the one that only a proxy may ask.

    What lies there and is no page, the gateway judges like any other request.
    """
    from gateway.app.services import Services

    paths = {route.path.partition("/{")[0] for route in Services(settings).routes.values() if not route.by_dispatcher}
    return sorted(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def escape(path: str) -> str:
    """Of what a path may hold (settings.values.PAGE_PATH) only the dot means something in a pattern."""
    return path.replace(".", r"\.")
