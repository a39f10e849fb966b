"""Compare a training step of the module with that of torchvision's module of the same network.

`python benchmarks/training.py [--batch 8] [--rounds 9] [--threads 1] [--json] [NETWORK ...]`. One process, in turns,
with the same weights and images; one network per family by default. A step is forward, backward and an update by SGD.
Memory is the peak of all tensors that are made during a step and alive.
"""

from __future__ import annotations

import argparse
import json
import time
import weakref
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from measure import machine, missing, table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FAMILIES = "resnet18 densenet121 googlenet mobilenet_v2 efficientnet_b0 convnext_tiny shufflenet_v2_x1_0 unet_monai"


class Peak(TorchDispatchMode):
    """Measures the largest sum of the bytes of tensors that were made in the context and are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor.untyped_storage())
        return result

    def add(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.remove, key, size)

    def remove(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def theirs(name: str) -> Any:
    """Return the module of torchvision, or of MONAI, with the keys of the spec."""
    if name == "unet_monai":
        from monai.networks.nets import BasicUNet

        return BasicUNet(spatial_dims=2, in_channels=1, out_channels=3)
    import torchvision

    more = {"aux_logits": True, "init_weights": False, "transform_input": False} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **more)


def stepper(module: Any, images: Any) -> Callable[[], None]:
    """Return a function that runs one training step."""
    module.train()
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        outputs = module(images)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        sum(head.square().mean() for head in heads).backward()
        optimiser.step()

    return step


def compare(name: str, batch: int, rounds: int) -> dict[str, float]:
    """Return the medians of the times of a step, of their ratio, and the peaks of memory in bytes."""
    import archdsl

    other = theirs(name)
    network = archdsl.load(name, input="1x96x96") if name == "unet_monai" else archdsl.load(name)
    ours = network.to_torch(other.state_dict())
    images = torch.randn(batch, *network.input)
    steps = {"ours": stepper(ours, images), "theirs": stepper(other, images)}
    result: dict[str, float] = {}
    for side, step in steps.items():
        step()
        with Peak() as memory:
            step()
        result[f"{side}_bytes"] = memory.peak
    times: dict[str, list[float]] = {side: [] for side in steps}
    for number in range(rounds):
        for side in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
            start = time.process_time()
            steps[side]()
            times[side].append(time.process_time() - start)
    ratio = median(a / b for a, b in zip(times["ours"], times["theirs"], strict=True))
    return {**result, **{f"{side}_s": median(spent) for side, spent in times.items()}, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=FAMILIES.split())
    parser.add_argument("--batch", type=int, default=8, help="images of a step (8)")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each (9)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if lacking := missing("torchvision", "monai"):
        raise SystemExit(f"pip install {' '.join(lacking)}")
    torch.set_num_threads(options.threads)
    results = {name: compare(name, options.batch, options.rounds) for name in options.networks}
    where = machine("torch", "torchvision", "monai")
    if options.json:
        print(json.dumps({"machine": where, "results": results}))
        return
    rows = [
        [
            name,
            f"{1000 * one['ours_s']:.0f} ms",
            f"{1000 * one['theirs_s']:.0f} ms",
            f"{one['ratio']:.3f}",
            f"{one['ours_bytes'] / 1e6:.1f} MB",
            f"{one['theirs_bytes'] / 1e6:.1f} MB",
            f"{one['ours_bytes'] / one['theirs_bytes']:.3f}",
        ]
        for name, one in results.items()
    ]
    heads = ["network", "archdsl", "torchvision", "ratio", "memory: archdsl", "torchvision", "ratio"]
    print(table(heads, rows))
    print(f"\n{where}; CPU time, medians of {options.rounds} steps of {options.batch} images")


if __name__ == "__main__":
    main()
