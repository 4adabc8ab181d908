"""The pseudo-languages keep what is not text."""

from __future__ import annotations

import pytest

from gateway.languages.pseudo import KEPT, PSEUDO, Pseudo

MESSAGES = (
    "Sign in",
    "Hello %(name)s,",
    "{browser} on {system}",
    'Read <a href="%(link)s">this page</a> &amp; go on.',
    "100 %% sure",
    "",
    " ",
)


@pytest.mark.parametrize("code", PSEUDO)
@pytest.mark.parametrize("message", MESSAGES)
def test_placeholders_and_markup_are_kept(code: str, message: str) -> None:
    written = Pseudo(PSEUDO[code]).gettext(message)
    assert KEPT.findall(written) == KEPT.findall(message)
    assert (written == message) == (not message.strip())


def test_a_long_text_gets_longer_by_two_fifths() -> None:
    message = "Choose a network from which your account may be used. " * 4
    written = Pseudo(PSEUDO["en-XA"]).gettext(message)
    assert 1.3 * len(message) < len(written) < 1.5 * len(message)


def test_plurals_are_written_as_well() -> None:
    pseudo = Pseudo(PSEUDO["en-XA"])
    assert pseudo.ngettext("%(n)s day", "%(n)s days", 1) != pseudo.ngettext("%(n)s day", "%(n)s days", 2)
