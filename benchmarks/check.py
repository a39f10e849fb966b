"""Compare the time of `check` of each library file with loading its networks.

All in one process, in turns, in CPU time of one thread, the best of several rounds. `python benchmarks/check.py
[--rounds 3] [--json] [FILE...]`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import ROOT, machine, table

sys.path.insert(0, str(ROOT))

import archdsl

TARGET = 1.5
"""The maximum time of `check`, divided by that of loading the file's own network and all its variants."""
LEAST_S = 0.5
"""The minimum CPU time that is spent on each file."""
WORK: dict[str, Callable[[Path, tuple[str, ...]], object]] = {
    "load": lambda path, networks: [archdsl.load(f"{path}#{name}") for name in networks],
    "check": lambda path, networks: archdsl.check(path),
    "check --why": lambda path, networks: archdsl.check(path, why=True),
}


def seconds(path: Path, rounds: int) -> dict[str, float]:
    """The CPU time of each work on one file; small files get more rounds, as 1 ms of noise doubles their time."""
    networks = archdsl.check(path).networks
    best = dict.fromkeys(WORK, float("inf"))
    end, done = time.process_time() + LEAST_S, 0
    while done < rounds or time.process_time() < end:
        done += 1
        for name, work in WORK.items():
            begin = time.process_time()
            work(path, networks)
            best[name] = min(best[name], time.process_time() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="spec files (those of the library)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each file, at least (3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    files = options.files or sorted((ROOT / "specs").glob("*.yaml"))
    results = {path.stem: seconds(path, options.rounds) for path in files}
    ratios = {name: times["check"] / times["load"] for name, times in results.items()}
    where = machine("pyyaml", "pydantic")
    if options.json:
        print(json.dumps({"machine": where, "seconds": results, "ratios": ratios, "target": TARGET}))
        return
    names = sorted(results, key=lambda name: -ratios[name])
    rows = [
        [name, *(f"{1000 * t:,.1f} ms" for t in results[name].values()), f"{ratios[name]:.2f}", f"{TARGET:g}"]
        for name in names
    ]
    print(table(["file", *WORK, "check / load", "at most"], rows))
    print(f"\n{where}; best of {options.rounds} rounds or more; worst: {names[0]}, {ratios[names[0]]:.2f}")


if __name__ == "__main__":
    main()
