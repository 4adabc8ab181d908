"""Where people see and end their sessions."""

from __future__ import annotations

from gateway.devices.pages import DevicePages
from gateway.policy.decision import Need
from gateway.web.routes import Pages, Route

# None of them asks for a fresh proof: they only take away.
DEVICES = Pages(
    DevicePages,
    Route("sessions", "/me/sessions", Need.SESSION, get=DevicePages.show),
    Route("sessions_revoke", "/me/sessions/revoke", Need.SESSION, post=DevicePages.revoke),
    Route("sessions_others", "/me/sessions/others", Need.SESSION, post=DevicePages.end_others),
    Route(
        "device_revoke", "/devices/revoke/{token}", Need.NOBODY, get=DevicePages.show_link, post=DevicePages.use_link
    ),
)  # fmt: skip
PAGES = (DEVICES,)
