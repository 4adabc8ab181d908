"""Routes of preferences."""

from __future__ import annotations

from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.preferences.pages import PreferencePages
from gateway.web.routes import Pages, Route
from gateway.web.sections import Entry, Section

PREFERENCES = Pages(
    PreferencePages,
    Route(
        "settings", "/me/settings", Need.SESSION, get=PreferencePages.show_own, post=PreferencePages.change_own,
        entry=Entry(Section.ACCOUNT, 5, Sentence("Language and time")),
    ),
    Route(
        "admin_settings", "/admin/settings", Need.ADMIN,
        get=PreferencePages.show_tenant, post=PreferencePages.change_tenant,
        entry=Entry(Section.ADMINISTRATION, 8, Sentence("Company language")),
    ),
)  # fmt: skip
PAGES = (PREFERENCES,)
