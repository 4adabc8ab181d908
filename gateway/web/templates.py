"""Jinja environments for pages and mails. Templates are compiled once, before `serve` forks its workers.

Compiling takes about 10 ms a template, and megabytes while it lasts. `compile_all` does it in the supervisor: workers
share the memory of the code, and answer their first requests at full speed. A template that changes on disk is used
from the next `serve` on.
"""

from __future__ import annotations

import gettext
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from markupsafe import Markup

from gateway.model.sentence import Sentence
from gateway.settings.places import FACTORS, LOCALES, TEMPLATES

MAILS = "mail/"
_PAGE_CODE: dict[str, CodeType] = {}
_MAIL_CODE: dict[str, CodeType] = {}


class CompiledLoader(jinja2.FileSystemLoader):
    """Loads templates as Jinja's own loader does, but compiles each once. Environments of a kind share `code`."""

    def __init__(self, folders: tuple[Path, ...], code: dict[str, CodeType]) -> None:
        super().__init__(folders)
        self._code = code

    def load(
        self, environment: jinja2.Environment, name: str, globals: MutableMapping[str, Any] | None = None
    ) -> jinja2.Template:
        code = self._code.get(name)
        if code is None:
            source, path, _ = self.get_source(environment, name)
            code = self._code[name] = environment.compile(source, name, path)
        return environment.template_class.from_code(environment, code, globals or {})


def page_environment(language: str) -> jinja2.Environment:
    """Return the environment of the pages. The filter `translated` is for sentences that a page is given.

    `_()` is for those written in a template, and treats them as markup. A filter with the context is never computed
    while a template is compiled, when the language would be that of the first environment.
    """
    loader = CompiledLoader((TEMPLATES, FACTORS), _PAGE_CODE)
    environment = _environment(language, loader, autoescape=True, trim_blocks=True)
    translations = translations_for(language)
    environment.filters.update(
        day=write_day,
        moment=write_moment,
        stamp=write_stamp,
        stamp_text=stamp_text,
        second=write_second,
        translated=jinja2.pass_context(lambda context, sentence: translate(sentence, translations)),
    )
    return environment


def mail_environment(language: str) -> jinja2.Environment:
    """Return the environment of the mails, whose plain text is not escaped and keeps its line breaks."""
    loader = CompiledLoader((TEMPLATES,), _MAIL_CODE)
    return _environment(language, loader, autoescape=jinja2.select_autoescape(("html",)))


def compile_all() -> None:
    mails, pages = mail_environment("en"), page_environment("en")
    for name in mails.list_templates(filter_func=lambda name: name.startswith(MAILS)):
        mails.get_template(name)
    for name in pages.list_templates(("html",)):
        if not name.startswith(MAILS):
            pages.get_template(name)


def translations_for(language: str) -> gettext.NullTranslations:
    return gettext.translation("otium_gateway", LOCALES, [language], fallback=True)


def translate(sentence: Sentence, translations: gettext.NullTranslations) -> str:
    """Return a sentence in another language, with its fields filled in."""
    if not sentence:  # the catalogue has its own header under ""
        return ""
    text = translations.gettext(sentence.text)
    return text.format(**sentence.fields) if sentence.fields else text


def write_moment(at: int | None) -> Markup:
    """Return a `<time>` element to the minute, in UTC. A script may show the person's own time zone."""
    if at is None:
        return Markup("–")
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        written.strftime("%Y-%m-%dT%H:%M:%SZ"), written.strftime("%d %b %Y, %H:%M UTC")
    )


def write_day(at: int) -> Markup:
    """Return a `<time>` element of a day, in UTC."""
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(written.strftime("%Y-%m-%d"), written.strftime("%d %b %Y"))


def write_stamp(at: int) -> Markup:
    """Return a `<time>` element to the second, in UTC."""
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(written.strftime("%Y-%m-%dT%H:%M:%SZ"), stamp_text(at))


def write_second(at: int) -> Markup:
    """Return a `<time>` element that shows only the time of the day, in UTC."""
    written = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        written.strftime("%Y-%m-%dT%H:%M:%SZ"), written.strftime("%H:%M:%S")
    )


def stamp_text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M:%S UTC")


def _environment(language: str, loader: CompiledLoader, **options: Any) -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - the options say what is escaped
        loader=loader,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        lstrip_blocks=True,
        **options,
    )
    environment.install_gettext_translations(translations_for(language), newstyle=True)  # type: ignore[attr-defined]
    return environment
