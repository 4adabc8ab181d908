"""The resources that a request affects besides its target (WebDAV, RFC 4918). Pure.

`Destination` names a second resource, the tags of `If` name others, and some methods include everything below. All must
be allowed like the target, so each becomes a `Resource` of the Inbound. The fields are evaluated for every method,
because an application may do so as well. They are forwarded in a canonical form, with the scheme and host that the
upstream knows, so that it can't interpret them differently. Refused is what is ambiguous, or longer than any client
sends.

Bodies are not parsed. A method whose body may name any resource therefore affects the whole site. REPORT and UNBIND,
whose bodies name resources in the requested collection (RFC 4791 §7.9, RFC 5842 §5), affect everything below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.model.inbound import Resource
from gateway.wire.authority import read_authority
from gateway.wire.target import is_safe_query, read_path

NAMES = frozenset((b"destination", b"depth", b"if"))
LINK = b"link"
DESCRIBING = NAMES | {LINK}  # the fields that determine what a request affects
DEPTHS = frozenset((b"0", b"1", b"infinity"))

TO_DESTINATION = frozenset(("COPY", "MOVE"))
# Depth may limit the effect of these (RFC 4918 §9.1, §9.8.3, §9.10.3), but not of the other methods.
UNLESS_SHALLOW = frozenset(("PROPFIND", "COPY", "LOCK"))
ALL_BELOW = frozenset(("DELETE", "MOVE", "REPORT", "UNBIND"))
NAMED_IN_BODY = frozenset(("BIND", "REBIND", "SEARCH", "MERGE", "CHECKOUT"))
NAMED_IN_LINK = frozenset(("LINK", "UNLINK"))
NAMING = frozenset(method.encode("ascii") for method in NAMED_IN_BODY | NAMED_IN_LINK)
REACHING = TO_DESTINATION | UNLESS_SHALLOW | ALL_BELOW | NAMED_IN_BODY | NAMED_IN_LINK

SITE = Resource(b"/", ("/",), True)

MOST_NAMED = 20  # in one If field, which names the locks that a client holds
LONGEST_REFERENCE = 8_192  # bytes, the limit of a target

REFERENCE = re.compile(rb"(?:https?://([^/?#]+))?(/(?!/)[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
STATE = rb'(?:<[^<>()\[\]"\s]+>|\[(?:W/)?"[^"<>()\[\]\\]*"\])'
LIST = rb"\((?:[ \t]*(?:not[ \t]*)?%b)+[ \t]*\)" % STATE
TAG = re.compile(rb"<([^<>]*)>(?=[ \t]*\()")
CONDITIONS = re.compile(rb'(?:(?:<[^<>()\[\]"\s]+>[ \t]*)?%b[ \t]*)+' % LIST, re.IGNORECASE)


class Unreadable(Exception):
    """A field names another resource, or a depth, ambiguously."""


class ReachReader:
    """`hosts` maps the site's names to the authorities that the upstream sees; `scheme` is the one that it is told."""

    def __init__(self, hosts: Mapping[str, str], scheme: str) -> None:
        self._hosts = hosts
        self._scheme = scheme.encode("ascii")

    def read(
        self, method: str, own: Resource, host: str, said: Iterable[tuple[bytes, bytes]]
    ) -> tuple[tuple[Resource, ...], list[bytes]]:
        """Return what a request for `own` at `host` affects, and the canonical lines to forward.

        `said` are its fields with NAMES, as (lower-case name, value). Raises Unreadable.
        """
        fields: dict[bytes, bytes] = {}
        for name, value in said:
            if name in fields:
                raise Unreadable(name)
            fields[name] = value
        reached: list[Resource] = []
        lines: list[bytes] = []
        if (destination := fields.get(b"destination")) is not None:
            resource, written = self._find(destination, host)
            reached.append(resource._replace(is_deep=True))  # the destination is replaced, with everything below it
            lines.append(b"Destination: " + written)
        elif method in TO_DESTINATION:
            reached.append(SITE)  # missing: a forward-auth proxy may not have passed it on
        if (depth := fields.get(b"depth")) is not None:
            depth = depth.lower()
            if depth not in DEPTHS:
                raise Unreadable(b"depth")
            lines.append(b"Depth: " + depth)
        if (conditions := fields.get(b"if")) is not None:
            lines.append(b"If: " + self._read_conditions(conditions, host, reached))
        if method in ALL_BELOW or depth == b"infinity" or (depth is None and method in UNLESS_SHALLOW):
            reached.append(own._replace(is_deep=True))
        return tuple(reached), lines

    def _read_conditions(self, value: bytes, host: str, reached: list[Resource]) -> bytes:
        """Return an If field (RFC 4918 §10.4) in canonical form, and add the resources that it names to `reached`."""
        if CONDITIONS.fullmatch(value) is None or len(TAG.findall(value)) > MOST_NAMED:
            raise Unreadable(b"if")

        def rewrite(tag: re.Match[bytes]) -> bytes:
            resource, written = self._find(tag[1], host)
            reached.append(resource)
            return b"<%b>" % written

        return TAG.sub(rewrite, value)

    def _find(self, reference: bytes, host: str) -> tuple[Resource, bytes]:
        """Return the resource of this site that a Simple-ref (RFC 4918 §8.3) names, and its absolute URI."""
        match = REFERENCE.fullmatch(reference)
        if not reference or match is None or len(reference) > LONGEST_REFERENCE:
            raise Unreadable(reference)
        authority, path, query = match[1], match[2] or b"/", match[3] or b""
        at = host if authority is None else self._hosts.get(read_authority(authority) or "")
        readings = read_path(path)
        if at is None or readings is None or not is_safe_query(query[1:]):
            raise Unreadable(reference)
        uri = b"%b://%b%b%b" % (self._scheme, at.encode("ascii"), path, query)
        return Resource(path, readings, False), uri


def names_anything(method: str, has_body: bool, lines: Iterable[bytes]) -> bool:
    """Return whether a request may name resources anywhere on the site, in its body or in a `Link` field."""
    if method in NAMED_IN_LINK:
        return has_body or any(line.partition(b":")[0].lower() == LINK for line in lines)
    return has_body and method in NAMED_IN_BODY
