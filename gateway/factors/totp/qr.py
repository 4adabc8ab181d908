"""Draws a QR code as inline SVG: one path, in the page's own colours, without any style that the policy forbids."""

from __future__ import annotations

from dataclasses import dataclass

QUIET_ZONE = 4  # modules, ISO/IEC 18004 §9.1


@dataclass(frozen=True, slots=True)
class Picture:
    """`path` is the `d` of an SVG path that fills the dark modules; `size` the side of its view box."""

    path: str
    size: int


def draw(text: str) -> Picture:
    from qrcode.constants import ERROR_CORRECT_M  # four megabytes, only for workers in which somebody sets TOTP up
    from qrcode.main import QRCode

    code: QRCode[object] = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return Picture(path, len(rows))
