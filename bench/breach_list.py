"""What it costs to look a new password up in a list of breached ones: ten million lines, in a file and in a folder.

    python bench/breach_list.py

Lines say ms a look-up, of passwords that are in the list and of others: the median, the 99th percentile, the worst, and
the worst processor time, which is what remains of it when nobody else wants this machine. "From disk" is after the
system was told to forget the file. The last line says how far memory grew from one round to the next. The file takes
450 MB in the folder for temporary files while this runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import Process
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.breaches.lists import BreachList, digest_of, open_list

LINES = 10_000_000
CHUNK = 100_000
KNOWN = 2_000
COLD = 200
RANGE_LINES = 1_000  # as in Have I Been Pwned's, of which there are a million
TAIL = "0123456789ABCDEF0123456789ABCD"


def known() -> list[str]:
    return [digest_of(f"known password {number}") for number in range(KNOWN)]


def lines() -> Iterator[list[str]]:
    """Yield ten million lines in order, those of the known passwords among them."""
    step = 16**10 // LINES
    waiting = sorted(known(), reverse=True)
    for start in range(0, LINES, CHUNK):
        chunk = [f"{number * step:010X}{TAIL}:{number % 90 + 1}\r\n" for number in range(start, start + CHUNK)]
        end = f"{(start + CHUNK) * step:010X}"
        while waiting and waiting[-1] < end:
            chunk.append(f"{waiting.pop()}:7\r\n")
        yield sorted(chunk)


def make_file(path: Path) -> None:
    with path.open("w", newline="") as file:
        for chunk in lines():
            file.writelines(chunk)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Only the ranges that will be asked for: nobody has the time to make a million files here."""
    step = 16**35 // RANGE_LINES
    filling = "".join(f"{number * step:035X}:{number % 90 + 1}\r\n" for number in range(RANGE_LINES))
    folder.mkdir()
    for digest in (*known(), *unknown()):
        (folder / f"{digest[:5]}.txt").write_text(filling)
    for digest in known():
        with (folder / f"{digest[:5]}.txt").open("a") as file:
            file.write(f"{digest[5:]}:7\r\n")


def unknown() -> list[str]:
    return [digest_of(f"unknown password {number}") for number in range(KNOWN)]


def measure(listed: BreachList, digests: list[str], is_there: bool, forget: Callable[[], None] | None = None) -> str:
    """Return ms a look-up in words."""
    spent, busy = [], []
    for digest in digests:
        if forget:
            forget()
        began, began_busy = time.perf_counter(), time.thread_time()
        found = listed.holds(digest)
        busy.append((time.thread_time() - began_busy) * 1e3)
        spent.append((time.perf_counter() - began) * 1e3)
        assert found is is_there, digest
    spent.sort()
    median, high, worst = spent[len(spent) // 2], spent[len(spent) * 99 // 100], spent[-1]
    return f"median {median:6.3f}  p99 {high:6.3f}  worst {worst:7.3f}  worst of processor {max(busy):6.3f} ms"


def resident() -> int:
    """Return this process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forgetting(path: Path) -> Callable[[], None]:
    def forget() -> None:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    return forget


def main(folder: Path) -> None:
    file, ranges = folder / "list.txt", folder / "ranges"
    began = time.perf_counter()
    for make, place in ((make_file, file), (make_folder, ranges)):
        child = Process(target=make, args=(place,))  # what making them takes is not what searching them takes
        child.start()
        child.join()
        assert child.exitcode == 0
    print(f"made in {time.perf_counter() - began:.0f} s: {LINES:,} lines, {file.stat().st_size / 1e6:.0f} MB")
    listed, in_folder = open_list(str(file)), open_list(str(ranges))
    assert listed
    assert in_folder
    there, elsewhere, forget = known(), unknown(), forgetting(file)
    for is_first in (True, False):
        for digest in (*there, *elsewhere):
            listed.holds(digest)
        before = resident()
        said = [
            f"file,   in the list      {measure(listed, there, True)}",
            f"file,   not in the list  {measure(listed, elsewhere, False)}",
            f"file,   from disk        {measure(listed, there[:COLD], True, forget)}",
            f"folder, in the list      {measure(in_folder, there, True)}",
            f"folder, not in the list  {measure(in_folder, elsewhere, False)}",
        ]
        if not is_first:
            print("\n".join(said))
            print(f"growth of memory over {4 * KNOWN + COLD:,} look-ups: {(resident() - before) / 1e6:.1f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
