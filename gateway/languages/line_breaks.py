"""Where a line of a page may end, and where not."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

E_MAIL = re.compile(r"\be-(?=mail)", re.IGNORECASE)
WITHIN_ADDRESS = re.compile(r"(?=@|\.[A-Za-z])|(?<=\w)(?=/\w)")


def keep_together(text: str) -> str:
    """Return a translated text in which no line ends after the "e-" of "e-mail"."""
    return E_MAIL.sub("\\g<0>\N{WORD JOINER}", text)


def breakable(text: str) -> Markup:
    """Return an email or web address that, if it is too long for one line, breaks at its @, dots and slashes."""
    return Markup("<wbr>").join(map(escape, WITHIN_ADDRESS.split(text)))
