"""How devices are named to people, from what browsers say of themselves."""

from __future__ import annotations

import pytest

from gateway.web.user_agents import label, read_label

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} FxiOS/126.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{IPAD} CriOS/120 Mobile/15E148 Safari/604.1", "Chrome on iPad"),
        (f"{MAC} Version/17.5 Safari/605.1.15", "Safari on Mac"),
        (f"{ANDROID} Chrome/125.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{ANDROID} Chrome/125.0.0.0 Mobile Safari/537.36 EdgA/125", "Edge on Android"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:126.0) Gecko/126.0 Firefox/126.0", "Firefox on Android"),
        ("curl/8.1", "curl"),
        ("", "Unknown device"),
    ],
)
def test_a_device_has_its_everyday_name(user_agent: str, name: str) -> None:
    given = label(user_agent)
    read = read_label(str(given))
    assert given == read == name
    assert (read.text, read.fields) == (given.text, given.fields)
