"""What it costs to make an ONNX file: `archdsl compile` beside torchvision's network through `torch.onnx.export`.

Whole processes, run in turns; medians. `python benchmarks/compile.py [--rounds 3] [--json] [NETWORK ...]`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from measure import interleaved, machine, missing, table

EXPORT = """
import torch, torchvision
model = torchvision.models.{name}().eval()
torch.onnx.export(model, (torch.zeros(2, 3, 224, 224),), "export.onnx", dynamo=True, verbose=False,
                  dynamic_shapes=({{0: torch.export.Dim("N")}},))
"""


def commands(name: str) -> dict[str, list[str]]:
    ours = [sys.executable, "-m", "archdsl", "compile", name, "-o", "ours.onnx", "--force"]
    export = [sys.executable, "-c", EXPORT.format(name=name)]
    return {f"{name}, archdsl compile": ours, f"{name}, torch.onnx.export": export}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["resnet50", "vgg16"])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each process (3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    lacking = missing("torchvision", "onnxscript")
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name in options.networks:
            wanted = {k: c for k, c in commands(name).items() if "export" not in k or not lacking}
            found |= interleaved(wanted, options.rounds, Path(folder))
    where = machine("numpy", "onnx", "torch", "torchvision", "onnxscript")
    if options.json:
        print(json.dumps({"machine": where, "runs": {k: v._asdict() for k, v in found.items()}}))
        return
    rows = [[name, f"{one.wall_s:.1f} s", f"{one.cpu_s:.1f} s", f"{one.peak_bytes / 1e6:,.0f} MB"] for name, one in found.items()]
    print(table(["process", "time", "processor time", "peak memory"], rows))
    print(f"\n{where}; medians of {options.rounds} runs")
    if lacking:
        print(f"not compared with torch.onnx.export: pip install {' '.join(lacking)}")


if __name__ == "__main__":
    main()
