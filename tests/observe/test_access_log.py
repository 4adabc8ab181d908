"""What the access log says of our own mailed links: that there was one, and not which."""

from __future__ import annotations

import pytest

from gateway.app.nouns import ROUTES
from gateway.observe.access_log import hide
from gateway.web.routes import secret_parents

SECRET_BELOW = secret_parents(ROUTES)


@pytest.mark.parametrize("more", ["", "/", "/x", ";x", "/../y"])
@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.path.endswith("/{token}")])
def test_a_token_is_hidden_however_the_address_goes_on(path: str, more: str) -> None:
    asked = path.replace("{token}", "a" * 43) + more
    assert asked.startswith(SECRET_BELOW)
    assert hide(asked, SECRET_BELOW) == path.replace("{token}", "…")


def test_other_paths_are_written_as_they_are() -> None:
    for path in ("/login", "/login/link", "/me/security", "/_gateway/static/login.js", "/timesheets/a", ""):
        assert not path.startswith(SECRET_BELOW)
