"""Measure how the time of a check grows with the network: 10,000 and 100,000 nodes.

All checks run in one process, without start-up, in CPU time of one thread. `python benchmarks/scale.py [--rounds 5]
[--json]`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measure import ROOT, machine, table

sys.path.insert(0, str(ROOT))

import archdsl

SPECS = {
    "chain": "input: 8x32x32\ndefaults: {{conv: bn relu}}\nnet:\n  body: {} * 3x3 conv 8\n",
    "residual": (
        "input: 8x32x32\ndefaults: {{conv: bn relu}}\nblocks:\n  basic(w):\n    residual: [3x3 conv w, 3x3 conv w"
        " linear]\n    then: relu\nnet:\n  body: {} * basic(8)\n"
    ),
    "dense": "input: 8x8x8\nnet:\n  body: dense {} * 1x1 conv 1\n",
    "written out": "input: 8x32x32\nnet:\n{}",
}
PER_UNIT = {"chain": 3, "residual": 7, "dense": 2, "written out": 1}
"""Nodes per repeat (or per written line)."""
SIZES = (10_000, 100_000)
TARGET = 12.0


def spec(shape: str, nodes: int) -> str:
    count = nodes // PER_UNIT[shape]
    return SPECS[shape].format("".join(f"  n{i}: relu\n" for i in range(count)) if shape == "written out" else count)


def check(path: Path) -> None:
    report = archdsl.check(path)
    assert not [d for d in report.diagnostics if d.severity == "error"]


def count(path: Path) -> None:
    assert archdsl.load(path).totals.depth >= 0


def seconds(work: Callable[[Path], None], path: Path, rounds: int) -> float:
    """The median CPU time."""
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        work(path)
        times.append(time.process_time() - begin)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="checks of each network (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for shape in SPECS:
            for name, work in (("check", check), ("check and count", count)):
                for nodes in SIZES:
                    path = Path(folder) / f"n{nodes}.yaml"
                    path.write_text(spec(shape, nodes), encoding="utf-8")
                    results.setdefault(f"{shape}, {name}", []).append(seconds(work, path, options.rounds))
    where = machine("pyyaml", "pydantic")
    if options.json:
        print(json.dumps({"machine": where, "seconds": results, "sizes": SIZES, "target": TARGET}))
        return
    rows = [
        [
            name,
            *(f"{t:.2f} s" for t in times),
            f"{times[1] / times[0]:.1f}",
            f"{TARGET:g}" if name.endswith(" check") else "",
        ]
        for name, times in results.items()
    ]
    print(table(["network", *(f"{n:,} nodes" for n in SIZES), "ratio", "at most"], rows))
    print(f"\n{where}; medians of {options.rounds}")


if __name__ == "__main__":
    main()
