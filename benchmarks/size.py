"""Compare the nodes and bytes of compiled files: archdsl, torch.onnx.export of torchvision's network, and onnxslim.

    python benchmarks/size.py [--json] [--keep FOLDER] [NETWORK ...]

All files have the same weights. Norms and biases get random values: with 0 and 1, as before training, an optimiser
finds equal tensors that no trained network has. The exporter fixes every size, which gives its shortest file; in
archdsl's file the sizes that the network leaves free are free.
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
    """torchvision's network with random norms and biases, as after training."""
    import torch
    import torchvision

    torch.manual_seed(0)
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **extra).eval()
    for part in model.modules():
        if isinstance(bias := getattr(part, "bias", None), torch.Tensor):
            torch.nn.init.uniform_(bias, -0.5, 0.5)
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            for tensor, least in ((part.weight, 0.5), (part.running_mean, -0.5), (part.running_var, 0.5)):
                torch.nn.init.uniform_(tensor, least, least + 1.0)
    return model


def files(name: str, folder: Path) -> dict[str, Path]:
    """Write the three files of a network, and its weights."""
    import onnx
    import onnxslim
    import torch
    from safetensors.torch import save_file

    model, pixels = module(name), 299 if name == "inception_v3" else 224
    paths = {tool: folder / f"{name}.{tool}.onnx" for tool in ("archdsl", "traced", "slimmed")}
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, pixels, pixels),),
        str(paths["traced"]),
        dynamo=True,
        verbose=False,
        external_data=False,
    )
    onnx.save(onnxslim.slim(str(paths["traced"])), str(paths["slimmed"]))
    weights = folder / f"{name}.safetensors"
    save_file(model.state_dict(), weights)
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


def row(name: str, sizes: dict[str, Size]) -> list[str]:
    ours, slim = sizes["archdsl"], sizes["slimmed"]
    nodes, nbytes = ([f"{one[n]:,}" for one in sizes.values()] for n in (0, 1))
    return [name, *nodes, *nbytes, f"{ours.nbytes - slim.nbytes:+,}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="keep the files in FOLDER")
    options = parser.parse_args()
    lacking = missing("torchvision", "onnxscript", "onnxslim", "safetensors")
    if lacking:
        raise SystemExit(f"pip install {' '.join(lacking)}")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.networks:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            paths = files(name, folder)
            results[name] = {tool: size(path) for tool, path in paths.items()}
            if options.keep is None:
                for path in folder.iterdir():
                    path.unlink()
            print(f"{name}: done", file=sys.stderr, flush=True)
    where = machine("onnx", "torch", "torchvision", "onnxscript", "onnxslim")
    if options.json:
        facts = {name: {tool: one._asdict() for tool, one in sizes.items()} for name, sizes in results.items()}
        print(json.dumps({"machine": where, "sizes": facts}))
        return
    head = ["network", "nodes", "traced", "slimmed", "bytes", "traced", "slimmed", "more than slimmed"]
    print(f"{table(head, [row(name, sizes) for name, sizes in results.items()])}\n\n{where}")


if __name__ == "__main__":
    main()
