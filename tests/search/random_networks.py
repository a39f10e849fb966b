"""Random networks, each held against an independent reference: `python -m tests.search.random_networks --count 10000
--seed 0`.

One line for each mismatch, the spec made small at the end. A network is drawn from its own number alone:
`--count 1 --seed 4711` repeats the one numbered 4711.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.search.networks.case import Result, case_of
from tests.search.networks.check import check
from tests.search.networks.disguise import disguised
from tests.search.networks.make import specification
from tests.search.networks.shrink import shrink
from tests.search.networks.text import written

SPELT = 4
"""Every so many networks `fmt` and `expand` are tried, too: they take as long as all the rest."""


def one(seed: int, every: bool = False) -> Result:
    import torch

    torch.set_num_threads(1)
    return check(specification(seed), seed, deep=every or seed % SPELT == 0, every=every)


def results(seeds: Iterable[int], jobs: int, every: bool) -> Iterable[Result]:
    work = partial(one, every=every)
    if jobs == 1:
        yield from map(work, seeds)
        return
    with get_context("spawn").Pool(jobs, maxtasksperchild=500) as pool:
        yield from pool.imap_unordered(work, seeds, chunksize=8)


def smallest(result: Result, seconds: float, every: bool) -> str:
    """The failing spec made small, as text, with its disguise where that alone is at fault."""
    kinds = {kind for kind, _ in result.mismatches}
    doc = specification(result.seed)

    def fails(smaller: object) -> bool:
        found = check(smaller, result.seed, every=every)  # type: ignore[arg-type]
        return bool(kinds & {kind for kind, _ in found.mismatches})

    small = shrink(doc, fails, seconds)
    hidden = (
        f"\n{disguised(small, result.seed, case_of(small, result.seed).variant)}"
        if any("disguise" in kind for kind in kinds)
        else ""
    )
    return written(small, result.seed) + hidden


def report(found: Counter[str], rejected: Counter[str], facts: Counter[str], done: int, seconds: float) -> str:
    lines = [f"{done:,} networks, {facts['nodes']:,} nodes, {seconds:.0f} s: {sum(found.values())} mismatches"]
    lines += [f"  {count:6,}  {kind}" for kind, count in found.most_common()]
    lines.append(f"refused by archdsl: {sum(rejected.values())}")
    lines += [f"  {count:6,}  {why}" for why, count in rejected.most_common(10)]
    about = ("outputs", "not compared", "free", "other sizes", "compared inside", "unread")
    lines.append("  ".join(f"{name}: {facts[name]:,}" for name in about))
    kinds = {k: v for k, v in facts.items() if k not in ("nodes", *about)}
    lines.append(
        "networks with each kind: " + ", ".join(f"{k} {v}" for k, v in sorted(kinds.items(), key=lambda item: -item[1]))
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first network")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--core", action="store_true", help="the fast comparisons (the default)")
    group.add_argument("--all", action="store_true", help="every comparison: about a second a network")
    parser.add_argument(
        "--shrink", type=float, default=60, metavar="SECONDS", help="time to make each failing spec small; 0: none"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the failing specs")
    chosen = parser.parse_args()
    found: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    failed: list[Result] = []
    start = told = time.monotonic()
    for done, result in enumerate(results(range(chosen.seed, chosen.seed + chosen.count), chosen.jobs, chosen.all), 1):
        facts.update(result.facts)
        if result.rejected:
            rejected[result.rejected[:90]] += 1
        for kind, detail in result.mismatches:
            found[kind] += 1
            print(f"network {result.seed}: {kind}: {detail.splitlines()[0][:200]}", flush=True)
        failed += [result] if result.mismatches else []
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{done:,} of {chosen.count:,}, {sum(found.values())} mismatches", file=sys.stderr, flush=True)
    print(report(found, rejected, facts, chosen.count, time.monotonic() - start))
    for result in failed[:10] if chosen.shrink else []:
        text = smallest(result, chosen.shrink, chosen.all)
        print(f"\nnetwork {result.seed}, {', '.join(sorted({kind for kind, _ in result.mismatches}))}:\n{text}")
        if chosen.keep is not None:
            chosen.keep.mkdir(parents=True, exist_ok=True)
            (chosen.keep / f"{result.seed}.yaml").write_text(text, encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
