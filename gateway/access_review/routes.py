"""Routes of the access review.

Disabling needs a fresh proof, unlike that of one person: with a stolen session, a thief could lock out hundreds.
"""

from __future__ import annotations

from gateway.access_review.pages import AccessPages, UnusedPages
from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section

ACCESS = Pages(
    AccessPages,
    Route(
        "access", "/admin/access", Need.ADMIN, get=AccessPages.show,
        entry=Entry(Section.ADMINISTRATION, 2, Sentence("Access review")),
    ),
    Route("access_export", "/admin/access/export", Need.ADMIN, post=AccessPages.export),
    Route(
        "access_reviewed", "/admin/access/reviewed", Need.ADMIN, post=AccessPages.note_review,
        fresh=Fresh(back="access", is_announced=True),
    ),
)  # fmt: skip
UNUSED = Pages(
    UnusedPages,
    Route(
        "access_unused", "/admin/access/unused", Need.ADMIN, get=UnusedPages.show, post=UnusedPages.disable,
        fresh=Fresh(only_post=True, carry=("days",), is_announced=True),
    ),
)  # fmt: skip
PAGES = (ACCESS, UNUSED)
