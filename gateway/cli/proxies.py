"""Lists our pages, and prints the parts of proxy configurations that depend on their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli.common import AsJSON, Config, settings_of, show

if TYPE_CHECKING:
    from gateway.settings import Settings

program = typer.Typer(no_args_is_help=True, help="Where our pages are, and what a proxy in front has to know of them.")


@program.callback()
def group() -> None:
    """Where our pages are, and what a proxy in front has to know of them."""


@program.command()
def nginx(config: Config = None) -> None:
    """Print the parts of config/nginx*.conf that follow from [pages]: the log's map, and the location of our pages."""
    settings = settings_of(config)
    typer.echo("# In nginx.conf and nginx-auth-request.conf: the log names no secret of a mailed link.")
    typer.echo(log_map(settings))
    typer.echo("# In nginx-auth-request.conf: the location of the gateway's own pages.")
    typer.echo(f"{pages_location(settings)} {{ … }}")


@program.command()
def caddy(config: Config = None) -> None:
    """Print the part of config/Caddyfile.forward-auth that follows from [pages]: the matcher of our pages."""
    typer.echo(pages_matcher(settings_of(config)))


@program.command()
def traefik(config: Config = None) -> None:
    """Print the part of config/traefik-forward-auth.yml that follows from [pages]: the rule for our pages' paths."""
    typer.echo(pages_rule(settings_of(config)))


@program.command()
def ingress(config: Config = None) -> None:
    """Print the part of config/ingress-nginx.yaml that follows from [pages]: the path of our pages."""
    typer.echo(pages_path(settings_of(config)))


@program.command()
def pages(config: Config = None, as_json: AsJSON = False) -> None:
    """List our pages: the name by which [pages] moves one, where it is, and who may open it."""
    from gateway.app.nouns import ROUTES
    from gateway.app.services import Services

    served = Services(settings_of(config)).routes
    paths = {route.name: served[route.name].path if route.name in served else "off" for route in ROUTES}
    show([{"name": route.name, "path": paths[route.name], "for": route.need.value} for route in ROUTES], as_json)


def log_map(settings: Settings) -> str:
    """Return nginx's map from the request URI to its form for the log, without tokens."""
    from gateway.app.services import Services
    from gateway.web.routes import secret_parents

    parents = "|".join(map(escape, secret_parents(Services(settings).routes.values())))
    return (
        "map $request_uri $otium_shown {\n"
        f'    "~^(?<otium_page>/({parents})/)" "$otium_page*";\n'
        '    "~^(?<otium_path>[^?]*)" $otium_path;\n'
        "}"
    )


def pages_location(settings: Settings) -> str:
    """Return nginx's location of all pages and paths below them, without its block."""
    return f'location ~ "^{pages_pattern(settings)}"'


def pages_matcher(settings: Settings) -> str:
    """Return Caddy's matcher for all pages and paths below them."""
    roots = (f"\tpath {root} {root}/*" for root in page_roots(settings))
    alone = (f"\tpath {path}" for path in exact_pages(settings))
    return "\n".join(("@pages {", *roots, *alone, "}"))


def pages_rule(settings: Settings) -> str:
    """Return the part of a Traefik rule that matches all pages and paths below them."""
    return f"PathRegexp(`^{pages_pattern(settings)}`)"


def pages_path(settings: Settings) -> str:
    """Return the path of an Ingress for all pages and paths below them.

    With `use-regex`, ingress-nginx makes it nginx's location `~* "^PATH"`.
    """
    return f"path: {pages_pattern(settings)}"


def pages_pattern(settings: Settings) -> str:
    """Return a regular expression, without an anchor, that matches the paths of all pages and what lies below them.

    PCRE and Go's RE2 read it alike. It begins with a slash: Kubernetes accepts no other path.
    """
    below = "|".join(map(escape, page_roots(settings)))
    alone = "".join(f"|{escape(path)}$" for path in exact_pages(settings))
    return f"/(({below})(/|$){alone})"


def page_roots(settings: Settings) -> list[str]:
    """Return paths that cover every page, except the one that only a proxy may request, and the exact ones.

    Other paths below them are decided by the gateway like any request.
    """
    from gateway.app.services import Services

    routes = [route for route in Services(settings).routes.values() if not (route.by_dispatcher or route.is_exact)]
    paths = {route.path.partition("/{")[0] for route in routes}
    return sorted(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def exact_pages(settings: Settings) -> list[str]:
    """Return the paths of pages below which everything else is the application's."""
    from gateway.app.services import Services

    return sorted(route.path for route in Services(settings).routes.values() if route.is_exact)


def escape(path: str) -> str:
    """Escape a path for a regular expression, without outer slashes: in PAGE_PATH, only the dot is special."""
    return path.strip("/").replace(".", r"\.")
