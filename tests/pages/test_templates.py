"""The templates' compiled code is shared by every environment of a process, whatever its language."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest

from gateway.languages.catalogue import OFFERED, Language
from gateway.settings.places import FACTORS, TEMPLATES
from gateway.web import templates
from gateway.web.rendering import Renderer, permissions_policy
from gateway.web.templates import compile_all, is_mail, mail_environment, page_environment


def test_every_template_is_compiled_before_the_workers_start() -> None:
    compile_all()
    pages = {name for name in page_environment().list_templates(("html",)) if not is_mail(name)}
    mails = {name for name in mail_environment().list_templates() if is_mail(name)}
    assert len(pages) > 30
    assert len(mails) > 20
    assert pages <= set(templates._PAGE_CODE)
    assert not any(map(is_mail, templates._PAGE_CODE))
    assert mails <= set(templates._MAIL_CODE)


def test_every_language_is_loaded_before_the_workers_start() -> None:
    """The first email in a language must not take longer: it would tell that there is an account."""
    compile_all()
    loaded = [code for code in OFFERED if {"messages", "locale"} <= vars(Language.of(code)).keys()]
    assert loaded == list(OFFERED)
    assert len(loaded) > 7


def test_shared_code_shows_each_environment_its_own_language(renderer: Renderer) -> None:
    """The first one to compile a template leaves none of its words in it."""

    class Shouted(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return message.upper()

    english, shouting = page_environment(), page_environment()
    shouting.install_gettext_translations(Shouted(), newstyle=True)  # type: ignore[attr-defined]
    shown = []
    for environment in (english, shouting):
        page = environment.get_template("web/framed.html", globals=renderer._environment.globals | environment.globals)
        shown.append(page.render(address="/x", is_lost=False))
    assert shown[0] != shown[1]
    assert shown[0].upper() == shown[1].upper()


def test_a_form_for_a_passkey_allows_its_ceremony_and_no_other_template_does() -> None:
    """See test_every_page for what browsers make of it."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for file in (file for folder in (TEMPLATES, FACTORS) for file in Path(folder).rglob("*.html")):
        text = file.read_text()
        allowed = re.findall(r'allow\("publickey-credentials-(\w+)"\)', text)
        assert len(allowed) == text.count("allow("), file
        found[file.name] = (re.findall(r'data-passkey="(\w+)"', text), allowed)
    asking = {name: kinds for name, (kinds, _) in found.items() if kinds}
    assert asking == {name: allowed for name, (_, allowed) in found.items() if allowed}
    assert len(asking) >= 3


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ([], "publickey-credentials-create=(), publickey-credentials-get=()"),
        (["publickey-credentials-get"], "publickey-credentials-create=(), publickey-credentials-get=(self)"),
    ],
)
def test_a_page_may_use_what_its_template_allows(allowed: list[str], said: str) -> None:
    assert permissions_policy(allowed) == f"camera=(), microphone=(), geolocation=(), payment=(), {said}"
