"""Routes of page views. Owners switch the recording on, and read it only of their own tenant, as administrators."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.page_views.pages import OwnViews, PersonViews
from gateway.page_views.switch_pages import SwitchPages
from gateway.policy.decision import Need
from gateway.web.routes import Fresh, Pages, Route
from gateway.web.sections import Entry, Section

OWN = Pages(
    OwnViews,
    Route("sessions_views", "/me/sessions/views", Need.SESSION, get=OwnViews.show),
    Route("sessions_views_export", "/me/sessions/views/export", Need.SESSION, post=OwnViews.export),
)
PERSON = Pages(
    PersonViews,
    Route("accounts_views", "/admin/accounts/views", Need.ADMIN, get=PersonViews.show),
    Route("accounts_views_export", "/admin/accounts/views/export", Need.ADMIN, post=PersonViews.export),
)
SWITCH = Pages(
    SwitchPages,
    Route(
        "ops_page_views", "/ops/page-views", Need.OWNER, get=SwitchPages.show, post=SwitchPages.change,
        entry=Entry(Section.OPERATIONS, 5, Sentence("Page views")),
        fresh=Fresh(only_post=True, is_announced=True),
    ),
)  # fmt: skip
PAGES = (OWN, PERSON, SWITCH)
