"""Commands on branding: write pages as the settings would make them look, before they are switched on."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import Config, fail, settings_of
from gateway.model.clock import utc

if TYPE_CHECKING:
    from gateway.app.services import Services
    from gateway.web.contrast import Contrast

FILES = ("gateway.css", "login.js", "page.js")
SANDBOX = "allow-same-origin allow-scripts"  # to load its files and show the password; no forms, no way out
DARK = "(prefers-color-scheme: dark)"
ROOT_IMAGE = re.compile(r'(<img src=")/')
TITLES = {"sign-in": "Sign-in page", "failure": "Failure page", "email": "Email"}
INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Preview of {product}</title>
<style>
body {{ margin: 0 auto; padding: 1.5rem; max-width: 90rem; font: 1rem/1.5 system-ui, sans-serif }}
td, th {{ padding: 0.25rem 1.5rem 0.25rem 0; text-align: start }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem }}
iframe {{ width: 100%; height: 42rem; border: 1px solid gray }}
</style>
</head>
<body>
<h1>Preview of {product}</h1>
<p>These are copies, to be looked at. Their buttons and links lead nowhere.</p>
<h2>Contrast of {accent}</h2>
<table>
{contrasts}
</table>
{pages}
</body>
</html>
"""

program = typer.Typer(help="Preview the branding of pages and emails.", no_args_is_help=True)


@program.callback()
def group() -> None:
    """Preview the branding of pages and emails."""


@program.command("preview")
def preview(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for the files.")],
    config: Config = None,
) -> None:
    """Write the sign-in page, a failure page and an email in light and dark, as the settings make them look."""
    from gateway.app.services import Services

    settings = settings_of(config)
    services = Services(settings)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        fail(f"{folder} is there already; name a new or an empty folder")
    pages, contrasts = render(services), measured(services)
    for scheme in ("light", "dark"):
        write(folder / scheme / "static", {name: services.static_files.text(name) for name in FILES}, scheme)
        write(folder / scheme, {f"{name}.html": text for name, text in pages.items()}, scheme)
    write(folder, {"index.html": index(settings.pages.product, settings.pages.accent, contrasts)}, "")
    for contrast in contrasts:
        typer.echo(line_of(contrast))
    if settings.pages.logo.startswith("/"):
        typer.echo(f"the logo is loaded from {services.url.site}{settings.pages.logo}")
    typer.echo(f"open {folder / 'index.html'}")


def measured(services: Services) -> list[Contrast]:
    from gateway.web.contrast import measure

    return list(measure(services.settings.pages.accent, services.static_files.text("gateway.css")))


def render(services: Services) -> Mapping[str, str]:
    """Return the pages by name. They find their files beside them, and the logo at the site."""
    from gateway.languages.reader import written_for
    from gateway.wire.failures import Failure

    with written_for(services.readers.default):
        sign_in = services.renderer.page("login/login.html", **sign_in_facts(services)).text or ""
        failure = services.renderer.failure_page(Failure.UPSTREAM_AWAY, "preview").decode()
    static, image = services.url("static", name=""), rf"\1{services.url.site}/"
    found = {"sign-in": sign_in, "failure": failure}
    found = {name: ROOT_IMAGE.sub(image, text.replace(static, "static/")) for name, text in found.items()}
    return {**found, "email": mail(services)}


def sign_in_facts(services: Services) -> Mapping[str, Any]:
    """Return what login.pages gives the template, for a person who has just signed out."""
    from gateway.web.redirects import Wish

    firsts = [factor.first_template for factor in services.factors if factor.first_template]
    return {
        "wish": Wish("/"), "email": "erin@example.com", "known": None, "has_password": True, "problem": "",
        "firsts": firsts, "minutes": 0, "news": "signed-out",
    }  # fmt: skip


def mail(services: Services) -> str:
    from gateway.mail.samples import SAMPLES

    composer = services.composer
    sample, message_id = SAMPLES["password_reset"], composer.message_id("preview")
    recipient, reader = "erin@example.com", services.readers.default
    message = composer.compose("password_reset", recipient, reader, message_id=message_id, now=utc(), **sample)
    part = message.get_body(("html",))
    return str(part.get_content()) if part else ""


def write(folder: Path, files: Mapping[str, str], scheme: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(forced(text, scheme) if scheme else text, encoding="utf-8")


def forced(text: str, scheme: str) -> str:
    """Return a page or stylesheet that has one colour scheme, whatever the browser prefers."""
    applies = "all" if scheme == "dark" else "not all"
    return text.replace(DARK, applies).replace("light dark", scheme)


def line_of(contrast: Contrast) -> str:
    judged = "" if contrast.is_enough else "  too low: below 4.5, choose another accent"
    return f"{contrast.scheme:5}  {contrast.text:18} {contrast.ratio:5.1f} to 1{judged}"


def index(product: str, accent: str, contrasts: list[Contrast]) -> str:
    """Return the page that shows all others side by side."""
    rows = (
        f"<tr><td>{each.scheme}</td><td>{each.text}</td><td>{each.ratio:.1f} to 1</td>"
        f"<td>{'enough' if each.is_enough else 'too low, below 4.5'}</td></tr>"
        for each in contrasts
    )
    return INDEX.format(
        product=html.escape(product), accent=accent, contrasts="\n".join(rows), pages="\n".join(sections())
    )


def sections() -> Iterator[str]:
    for name, title in TITLES.items():
        frames = (
            f'<iframe sandbox="{SANDBOX}" src="{scheme}/{name}.html" title="{title}, {scheme}"></iframe>'
            for scheme in ("light", "dark")
        )
        yield f'<h2>{title}</h2>\n<div class="pair">{"".join(frames)}</div>'
