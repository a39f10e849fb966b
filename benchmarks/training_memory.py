"""Compare the peak memory of a training step with the memory events of torch's profiler on the CPU.

`python benchmarks/training_memory.py [--batch 2] [NETWORK ...]`; by default the smallest network of each family. Needs
up to 12 GB of memory. Prints both peaks; the second difference includes what convolutions allocate and free again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import archdsl
from archdsl.library.catalog import catalog
from tests.support.training import peak_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    smallest = {entry.family: entry.name for entry in sorted(catalog(), key=lambda entry: -entry.macs)}
    errors, whole = [], []
    for name in options.networks or [*smallest.values()]:
        net = archdsl.load(name)
        if not net.params:
            continue
        ours = archdsl.training_cost(net, batch=options.batch, device="cpu").peak_bytes
        stored, peak = peak_bytes(net, options.batch, "sgd")
        errors.append(abs(ours / stored - 1))
        whole.append(abs(ours / peak - 1))
        print(f"{name:24} {ours:>15,} {stored:>15,} {ours / stored - 1:+8.2%} {ours / peak - 1:+8.2%}", flush=True)
    for title, found in (("without workspaces", errors), ("with workspaces", whole)):
        near = [sum(error <= most for error in found) for most in (0.01, 0.05)]
        print(f"{title}: {near[0]} within 1 %, {near[1]} within 5 % of {len(found)}; worst {max(found):.1%}")


if __name__ == "__main__":
    main()
