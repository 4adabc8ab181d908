"""Jinja environments for pages and mails. Templates are compiled once, before `serve` forks its workers.

Compiling takes about 10 ms a template, and megabytes while it lasts. `compile_all` does it in the supervisor: workers
share the memory of the code, and answer their first requests at full speed. It loads the languages as well. A template
that changes on disk is used from the next `serve` on.

One environment serves all languages: what it writes is for the current reader (languages.reader).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2

from gateway.languages import times
from gateway.languages.catalogue import load_all
from gateway.languages.line_breaks import breakable, keep_together
from gateway.languages.reader import current_reader, gettext, ngettext, npgettext, pgettext, translate
from gateway.model.sentence import Sentence
from gateway.settings.places import FACTORS, TEMPLATES

Texts = Callable[..., str]
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


def page_environment() -> jinja2.Environment:
    """Return the environment of the pages. The filter `translated` is for sentences that a page is given.

    `_()` is for those written in a template, and treats them as markup. Filters that depend on the reader take the
    context, so that none is computed while a template is compiled.
    """
    loader = CompiledLoader((TEMPLATES, FACTORS), _PAGE_CODE)
    environment = _environment(loader, unbroken, autoescape=True, trim_blocks=True)
    environment.filters.update(
        ago=late(times.write_ago),
        breakable=breakable,
        day=late(times.write_day),
        leading=late(leading_capital),
        moment=late(times.write_moment),
        zoned=late(times.write_zoned),
        number=late(times.number_text),
        stamp=late(times.write_stamp),
        stamp_text=late(times.stamp_text),
        second=late(times.write_second),
        translated=late(unbroken(translate)),
    )
    return environment


def mail_environment() -> jinja2.Environment:
    """Return the environment of the mails, whose plain text is not escaped and keeps its line breaks.

    A mail is called "mail/totp_enabled.txt" wherever its folder `mail` is: in `templates/` or in that of a factor.
    """
    loader = CompiledLoader((TEMPLATES, *(mails.parent for mails in FACTORS.glob("*/mail"))), _MAIL_CODE)
    return _environment(loader, lambda texts: texts, autoescape=jinja2.select_autoescape(("html",)))


@cache
def compile_all() -> None:
    load_all()
    mails, pages = mail_environment(), page_environment()
    for name in mails.list_templates(filter_func=is_mail):
        mails.get_template(name)
    for name in pages.list_templates(("html",)):
        if not is_mail(name):
            pages.get_template(name)


def is_mail(name: str) -> bool:
    """Whether the template of that name is a mail's."""
    return "mail" in name.split("/")[:-1]


def leading_capital(text: str) -> str:
    """Return a text with its first letter in upper case, and the others as they are."""
    return text[:1].upper() + text[1:]


def unbroken(texts: Texts) -> Texts:
    """Return `texts`, which translates, with line breaks as on a page."""
    return lambda *values: keep_together(texts(*values))


def late(write: Callable[..., Any]) -> Callable[..., Any]:
    return jinja2.pass_context(lambda context, *values: write(*values))


def _environment(loader: CompiledLoader, typeset: Callable[[Texts], Texts], **options: Any) -> jinja2.Environment:
    told = typeset(translate)

    def shown(value: object) -> object:
        """Translate a sentence that a template shows as it is. Within `{% trans %}` it takes the filter."""
        return told(value) if isinstance(value, Sentence) else value

    environment = jinja2.Environment(  # noqa: S701 - the options say what is escaped
        loader=loader,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        lstrip_blocks=True,
        finalize=shown,
        **options,
    )
    texts: tuple[Texts, ...] = (gettext, ngettext, pgettext, npgettext)
    one, many, one_of, many_of = map(typeset, texts)
    environment.install_gettext_callables(one, many, True, one_of, many_of)  # type: ignore[attr-defined]
    environment.globals.update(reader=current_reader, zone=times.zone_text)
    return environment
