"""Draws a QR code as one SVG path, in the page's colours, without inline styles, which the CSP forbids."""

from __future__ import annotations

from dataclasses import dataclass

QUIET_ZONE = 4  # modules, ISO/IEC 18004 §9.1


@dataclass(frozen=True, slots=True)
class Picture:
    """`path` is the `d` attribute of the dark modules; `size` is the side of the view box, in modules."""

    path: str
    size: int


def draw(text: str) -> Picture:
    from qrcode.constants import ERROR_CORRECT_M  # 4 MB of memory, only in workers that enrol TOTP
    from qrcode.main import QRCode

    code: QRCode[object] = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return Picture(path, len(rows))
