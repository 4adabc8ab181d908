"""Where the templates and other shipped files are: beside the code in a work tree, inside an installed package."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
TEMPLATES = next(path for path in (ROOT / "_templates", ROOT.parent / "templates") if path.is_dir())
FACTORS = ROOT / "factors"  # each has its own templates, such as "totp/code.html", and its mails
