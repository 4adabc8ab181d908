"""An older commit beside this one, in one run: CPU a request, and the memory of a worker.

    python bench/commits.py 7fe7775

Both gateways run on core 0 in front of the same upstream and take turns, a second each, with the load of `run.py`. What
is printed is the median of the ratios, turn by turn: a machine that slows down does so for both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import run
import servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="what to compare with")
    parser.add_argument("--rounds", type=int, default=24)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(servers.LOAD_CORE)})  # this process signs people in: it belongs to the load
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        old_tree = stack.enter_context(checked_out(options.commit, folder / "tree"))
        to = stack.enter_context(servers.upstream(folder))
        trees = {"old": old_tree, "new": servers.ROOT}
        running = {}
        for age, tree in trees.items():
            (folder / age).mkdir()
            running[age] = stack.enter_context(servers.gateway(folder / age, to, False, tree=tree))
        cookies = {age: run.sign_in(server) for age, server in running.items()}
        rounds: dict[str, list[run.Figures]] = {age: [] for age in running}
        for _ in range(options.rounds):
            for age, server in running.items():
                rounds[age].append(run.load(server, "1k", cookies[age], run.CONNECTIONS, 1))
        for age, server in running.items():
            cpu = statistics.median(figures.cpu for figures in rounds[age])
            memory = server.memory()
            print(
                f"{age}: {cpu:.1f} µs CPU a request, {sum(figures.wrong for figures in rounds[age])} wrong;"
                f" a worker has rss {memory['rss']:.1f} MB, pss {memory['pss']:.1f} MB"
            )
        ratios = [new.cpu / old.cpu for new, old in zip(rounds["new"], rounds["old"], strict=True)]
        print(f"new / old: {statistics.median(ratios):.3f} × CPU a request, {min(ratios):.3f} to {max(ratios):.3f}")


@contextlib.contextmanager
def checked_out(commit: str, tree: Path) -> Iterator[Path]:
    git = ("git", "-C", str(servers.ROOT), "worktree")
    subprocess.run((*git, "add", "--detach", "--quiet", str(tree), commit), check=True)
    try:
        yield tree
    finally:
        subprocess.run((*git, "remove", "--force", str(tree)), check=True)


if __name__ == "__main__":
    main()
