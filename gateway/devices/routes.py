"""Routes of the device list."""

from __future__ import annotations

from gateway.devices.pages import DevicePages
from gateway.model.sentence import Sentence
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route
from gateway.web.sections import Entry, Section

# No fresh proofs: ending a session gives no rights.
DEVICES = Pages(
    DevicePages,
    Route(
        "sessions", "/me/sessions", Need.SESSION, get=DevicePages.show,
        entry=Entry(Section.ACCOUNT, 2, Sentence("Devices")),
    ),
    Route("sessions_revoke", "/me/sessions/revoke", Need.SESSION, post=DevicePages.revoke),
    Route("sessions_others", "/me/sessions/others", Need.SESSION, post=DevicePages.end_others),
    Route(
        "device_revoke", "/devices/revoke/{token}", Need.NOBODY, get=DevicePages.show_link, post=DevicePages.use_link
    ),
)  # fmt: skip
PAGES = (DEVICES,)
