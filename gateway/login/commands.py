"""Shell commands that pages and messages show, quoted for pasting."""

from __future__ import annotations

import shlex


def unlock_command(email: str, *options: str) -> str:
    """Return the operator's command that unlocks an account. It includes --confirm, so it acts without asking."""
    return " ".join(("otium-gateway account unlock --email", shlex.quote(email), *options, "--confirm"))
