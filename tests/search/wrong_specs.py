"""Sound specs with one mistake each, and what archdsl says of it: `python -m tests.search.wrong_specs --count 2000
--seed 0`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.search.networks.wrong import STRICTER, judged, mistake


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    seen: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        wrong = judged(mistake(seed))
        seen[wrong.name] += 1
        codes[wrong.code or "sound"] += 1
        stricter[wrong.code] += not wrong.torch
        for trouble in wrong.trouble:
            failed[wrong.name] += 1
            print(f"{seed}: {wrong.name}: {trouble}", flush=True)
    for name, count in seen.most_common():
        print(f"{count:6,}  {name}" + (f"  ({failed[name]} not as expected)" if failed[name] else ""))
    print("codes: " + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    print(
        "refused where torch is not: " + ", ".join(f"{code} {count}" for code, count in stricter.most_common() if count)
    )
    unknown = {code for code, count in stricter.items() if count} - set(STRICTER)
    print(f"{chosen.count:,} wrong specs, {sum(failed.values())} not as expected")
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
