"""Time a sweep of variants of resnet50, and compare its rows with networks that are loaded one by one.

`python benchmarks/sweep.py [--count 1000]`. One process; prints CPU time and resident memory after a tenth of the
variants and after all of them, the same for `load` and `compare` of some of them, and how many rows differ.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from itertools import product

import archdsl


def variants(count: int) -> dict[str, list[object]]:
    """As many settings, or a few more: blocks of each stage, ten widths, three numbers of groups."""
    blocks = [list(n) for n in product((2, 3), (2, 3, 4), (2, 4, 6), (2, 3))]
    widths = [16, 24, 32, 40, 48, 56, 64, 80, 96, 128]
    return {"n": blocks[: -(-count // 30)], "base": widths[: min(10, count)], "g": [1, 2, 4]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    archdsl.load("resnet50")
    for number in (count // 10, count):
        start = time.process_time()
        result = archdsl.sweep("resnet50", variants(number), limit=2 * count + 100)
        spent = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 2**20)
        number = len(result.entries)
        print(f"{number} variants: {spent:.2f} s of CPU, {1000 * spent / number:.1f} ms each, {peak} MB")
    some = result.entries[:: max(len(result.entries) // 50, 1)]
    start = time.process_time()
    single = [archdsl.compare(archdsl.load("resnet50", **dict(row.args))).entries[0] for row in some]  # type: ignore[arg-type]
    spent = time.process_time() - start
    different = sum(a != b for a, b in zip(some, single, strict=True))
    print(f"loaded one by one: {1000 * spent / len(some):.1f} ms each; {different} of {len(some)} rows differ")


if __name__ == "__main__":
    main()
