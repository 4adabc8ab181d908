"""The parts of the WebSocket protocol that the gateway needs (RFC 6455). Pure."""

from __future__ import annotations

GOING_AWAY = 1001  # close codes, RFC 6455 §7.4.1
POLICY_VIOLATION = 1008
HEARTBEATS = (0x89, 0x8A)  # the first byte of a ping and of a pong, RFC 6455 §5.5
SHORT_FRAME = 6  # bytes before the payload of a masked control frame, RFC 6455 §5.2


def close_frame(code: int) -> bytes:
    """Return a server's close frame without a reason (RFC 6455 §5.5.1)."""
    return b"\x88\x02" + code.to_bytes(2, "big")


def is_heartbeat(received: bytes) -> bool:
    """Whether the bytes contain only pings and pongs, which browsers send without the person being active."""
    at = 0
    while at < len(received) and received[at] in HEARTBEATS and at + 1 < len(received) and received[at + 1] & 0x80:
        at += SHORT_FRAME + (received[at + 1] & 0x7F)
    return at == len(received)
