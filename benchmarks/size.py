"""How large compiled files are: nodes and bytes of ours, of torch.onnx.export's file of torchvision's network, of that
through onnxslim.

    python benchmarks/size.py [--json] [--keep FOLDER] [NETWORK ...]

The same weights for all. Norms get random statistics and gains, all biases random numbers: where they are 0 and 1, as
before training, an optimiser finds equal tensors that no trained network has. The exporter fixes every size, its
shortest form; ours leaves open what the network does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from measure import ROOT, machine, missing, table

NETWORKS = (
    "alexnet",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "densenet121",
    "inception_v3",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
)


class Size(NamedTuple):
    nodes: int
    nbytes: int


def module(name: str) -> Any:
    """torchvision's network, its norms and biases as if it were trained."""
    import torch
    import torchvision

    torch.manual_seed(0)
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    made = torchvision.models.get_model(name, weights=None, **extra).eval()
    for part in made.modules():
        if isinstance(bias := getattr(part, "bias", None), torch.Tensor):
            torch.nn.init.uniform_(bias, -0.5, 0.5)
        if isinstance(part, torch.nn.BatchNorm2d):
            for tensor, least in ((part.weight, 0.5), (part.running_mean, -0.5), (part.running_var, 0.5)):
                torch.nn.init.uniform_(tensor, least, least + 1.0)
    return made


def files(name: str, folder: Path) -> dict[str, Path]:
    """The three files of a network, and its weights beside them."""
    import onnx
    import onnxslim
    import torch
    from safetensors.torch import save_file

    made, side = module(name), 299 if name == "inception_v3" else 224
    paths = {way: folder / f"{name}.{way}.onnx" for way in ("archdsl", "traced", "slimmed")}
    torch.onnx.export(
        made, (torch.zeros(1, 3, side, side),), str(paths["traced"]), dynamo=True, verbose=False, external_data=False
    )
    onnx.save(onnxslim.slim(str(paths["traced"])), str(paths["slimmed"]))
    weights = folder / f"{name}.safetensors"
    save_file(made.state_dict(), weights)
    command = [
        sys.executable,
        "-m",
        "archdsl",
        "compile",
        name,
        "--weights",
        str(weights),
        "-o",
        str(paths["archdsl"]),
        "--force",
    ]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return paths


def size(path: Path) -> Size:
    import onnx

    return Size(len(onnx.load(path, load_external_data=False).graph.node), path.stat().st_size)


def row(name: str, found: dict[str, Size]) -> list[str]:
    ours, slim = found["archdsl"], found["slimmed"]
    nodes, nbytes = ([f"{one[n]:,}" for one in found.values()] for n in (0, 1))
    return [name, *nodes, *nbytes, f"{ours.nbytes - slim.nbytes:+,}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="leave the files there")
    options = parser.parse_args()
    lacking = missing("torchvision", "onnxscript", "onnxslim", "safetensors")
    if lacking:
        raise SystemExit(f"pip install {' '.join(lacking)}")
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.networks:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            paths = files(name, folder)
            found[name] = {way: size(path) for way, path in paths.items()}
            if options.keep is None:
                for path in folder.iterdir():
                    path.unlink()
            print(f"{name}: done", file=sys.stderr, flush=True)
    where = machine("onnx", "torch", "torchvision", "onnxscript", "onnxslim")
    if options.json:
        facts = {name: {way: one._asdict() for way, one in sizes.items()} for name, sizes in found.items()}
        print(json.dumps({"machine": where, "sizes": facts}))
        return
    head = ["network", "nodes", "traced", "slimmed", "bytes", "traced", "slimmed", "more than slimmed"]
    print(f"{table(head, [row(name, sizes) for name, sizes in found.items()])}\n\n{where}")


if __name__ == "__main__":
    main()
