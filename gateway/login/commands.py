"""Commands that pages and messages print, to be pasted into a shell as they are."""

from __future__ import annotations

import shlex


def unlock_command(email: str, *options: str) -> str:
    """Return what an operator types to let the account with that email in again; it acts, and asks nothing more."""
    return " ".join(("otium-gateway account unlock --email", shlex.quote(email), *options, "--confirm"))
