"""Compare the time to build a PyTorch module with weights from a safetensors file and torchvision's constructor.

`python benchmarks/module.py [--rounds 7] [--json] [NETWORK ...]`. CPU time within one process, in turns. archdsl reads
and checks the spec and maps the file; torchvision initialises random weights and has not loaded any file yet.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from measure import machine, missing, table


def cpu_s(make: Callable[[], Any]) -> float:
    start = time.process_time()
    make()
    return time.process_time() - start


def ours(name: str, file: str) -> Any:
    import archdsl

    return archdsl.load(name).to_torch(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["resnet50", "vgg16"])
    parser.add_argument("--rounds", type=int, default=7, help="runs of each (7)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if lacking := missing("torchvision"):
        raise SystemExit(f"pip install {' '.join(lacking)}")
    import torch
    import torchvision

    import archdsl
    from archdsl.backends.weights.safetensors import save

    torch.set_num_threads(1)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            file = f"{folder}/{name}.safetensors"
            save(archdsl.load(name).weights(), file)
            builders = {"ours": partial(ours, name, file), "theirs": getattr(torchvision.models, name)}
            times: dict[str, list[float]] = {side: [] for side in builders}
            for number in range(options.rounds + 1):
                for side, make in builders.items():
                    spent = cpu_s(make)
                    times[side] += [spent] if number else []
            ratio = median(a / b for a, b in zip(times["ours"], times["theirs"], strict=True))
            results[name] = {**{side: median(spent) for side, spent in times.items()}, "ratio": ratio}
    where = machine("torch", "torchvision", "numpy")
    if options.json:
        print(json.dumps({"machine": where, "cpu_s": results}))
        return
    rows = [
        [name, f"{1000 * one['ours']:.0f} ms", f"{1000 * one['theirs']:.0f} ms", f"{one['ratio']:.3f}"]
        for name, one in results.items()
    ]
    print(table(["network", "archdsl, with weights", "torchvision, at random", "ratio"], rows))
    print(f"\n{where}; CPU time, medians of {options.rounds} rounds")


if __name__ == "__main__":
    main()
