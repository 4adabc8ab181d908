"""Where the files lie that come with the code: beside it in a work tree, inside it once installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
TEMPLATES = next(path for path in (ROOT / "_templates", ROOT.parent / "templates") if path.is_dir())
FACTORS = ROOT / "factors"  # each has its own templates, as "totp/code.html"
LOCALES = ROOT / "locale"
