"""Walks up paths. Pure."""

from __future__ import annotations


def walk_up(path: str, depth: int) -> list[str]:
    """Return `path` without final slashes, then each parent path, down to "".

    Paths with more than `depth` segments are left out: no entry is that deep, and a path can have thousands.
    """
    found = []
    path = path.rstrip("/")
    if path.count("/") > depth:
        path = "/".join(path.split("/", depth + 1)[: depth + 1])
    end = len(path)
    while end > 0:
        found.append(path[:end])
        end = path.rfind("/", 0, end)
    found.append("")
    return found
