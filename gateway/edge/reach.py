"""What a request reaches beside the resource that its target names (WebDAV, RFC 4918). Pure.

`Destination` names a second resource, the tags of `If` further ones, and a method may mean all that lies below. Each
must be allowed like the target itself, so each becomes a `Resource` of the Inbound. The fields are taken whatever the
method is: an application may read them where no standard says so. They go on in one spelling of ours, with scheme and
host as the upstream is told them, so that nothing is left for it to read in another way; what can't be read for certain
is refused, and so is what names more, or at greater length, than any client does: a field can be as long as the head.

Bodies are not read here. A method whose body names resources anywhere on the site therefore reaches all of it, and
REPORT and UNBIND, whose bodies name what lies in the collection that is asked (RFC 4791 §7.9, RFC 5842 §5), reach all
that is below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.model.inbound import Resource
from gateway.wire.authority import read_authority
from gateway.wire.target import is_safe_query, read_path

NAMES = frozenset((b"destination", b"depth", b"if"))
LINK = b"link"
DESCRIBING = NAMES | {LINK}  # the fields that tell what a request reaches
DEPTHS = frozenset((b"0", b"1", b"infinity"))

TO_DESTINATION = frozenset(("COPY", "MOVE"))
# Depth may say less than everything below (RFC 4918 §9.1, §9.8.3, §9.10.3); for the others it may not.
UNLESS_SHALLOW = frozenset(("PROPFIND", "COPY", "LOCK"))
ALL_BELOW = frozenset(("DELETE", "MOVE", "REPORT", "UNBIND"))
NAMED_IN_BODY = frozenset(("BIND", "REBIND", "SEARCH", "MERGE", "CHECKOUT"))
NAMED_IN_LINK = frozenset(("LINK", "UNLINK"))
NAMING = frozenset(method.encode("ascii") for method in NAMED_IN_BODY | NAMED_IN_LINK)
REACHING = TO_DESTINATION | UNLESS_SHALLOW | ALL_BELOW | NAMED_IN_BODY | NAMED_IN_LINK

SITE = Resource(b"/", ("/",), True)

MOST_NAMED = 20  # by one If field; a client names the locks that it holds there
LONGEST_REFERENCE = 8_192  # bytes, as many as a target may have

REFERENCE = re.compile(rb"(?:https?://([^/?#]+))?(/(?!/)[^?#]*)?(\?[^#]*)?", re.IGNORECASE)
STATE = rb'(?:<[^<>()\[\]"\s]+>|\[(?:W/)?"[^"<>()\[\]\\]*"\])'
LIST = rb"\((?:[ \t]*(?:not[ \t]*)?%b)+[ \t]*\)" % STATE
TAG = re.compile(rb"<([^<>]*)>(?=[ \t]*\()")
CONDITIONS = re.compile(rb'(?:(?:<[^<>()\[\]"\s]+>[ \t]*)?%b[ \t]*)+' % LIST, re.IGNORECASE)


class Unreadable(Exception):
    """A field names another resource, or how much it covers, in a way that can't be read for certain."""


class ReachReader:
    """`hosts` maps the names of the site to the authorities that the upstream sees, and `scheme` is what it is told."""

    def __init__(self, hosts: Mapping[str, str], scheme: str) -> None:
        self._hosts = hosts
        self._scheme = scheme.encode("ascii")

    def read(
        self, method: str, own: Resource, host: str, said: Iterable[tuple[bytes, bytes]]
    ) -> tuple[tuple[Resource, ...], list[bytes]]:
        """Return what a request for `own` at `host` reaches, and the lines that go on in the place of what was `said`.

        `said` are the fields called one of NAMES as (lower-case name, value). Raises Unreadable.
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
            reached.append(resource._replace(is_deep=True))  # what is there is replaced, with all that is below
            lines.append(b"Destination: " + written)
        elif method in TO_DESTINATION:
            reached.append(SITE)  # a proxy that asks us may have kept it to itself
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
        """Return an If field (RFC 4918 §10.4) with the resources that it names spelled our way, and note these."""
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
    """Return whether a request may name resources anywhere on the site, in its body or in a field `Link`."""
    if method in NAMED_IN_LINK:
        return has_body or any(line.partition(b":")[0].lower() == LINK for line in lines)
    return has_body and method in NAMED_IN_BODY
