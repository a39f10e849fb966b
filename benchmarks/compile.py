"""Compare the CPU time to write an ONNX file: `archdsl compile`, and torch.onnx.export of torchvision's network.

Medians of whole processes, run in turns, in CPU time because wall time depends on the disk. Then the writer alone,
compared with copying the same bytes, and networks of 100, 500 and 1,000 residual blocks.

    python benchmarks/compile.py [--rounds 3] [--json] [--skip-export] [--skip-blocks] [NETWORK ...]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from measure import ROOT, Run, interleaved, machine, missing, run, table

NETWORKS = ["vgg16", "resnet50", "densenet121", "inception_v3", "googlenet"]
EXPORTERS = {
    "TorchScript": "dynamo=False, dynamic_axes={'x': {0: 'N'}}, input_names=['x']",
    "dynamo": "dynamo=True, verbose=False, dynamic_shapes=({0: torch.export.Dim('N')},)",
}
EXPORT = """
import sys, torch, torchvision
name, file, weights = sys.argv[1:4]
extra = {{"init_weights": True}} if name in ("googlenet", "inception_v3") else {{}}
model = torchvision.models.get_model(name, weights=None, **extra)
if weights:
    from safetensors.torch import load_file
    model.load_state_dict(load_file(weights))
torch.onnx.export(model.eval(), (torch.zeros(2, 3, 224, 224),), file, {arguments})
"""
EMIT = """
import json, os, resource, sys, numpy, onnx, archdsl, archdsl.backends.onnx.write
name, weights, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
def seconds(work):
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
net = archdsl.load(name)
tensors = net.weights(weights)
tensors.source
def emit():
    net.to_onnx("emitted.onnx", tensors, force=True)
def copy():
    with open(weights, "rb") as source, open("copied.tmp", "wb") as target:
        while piece := source.read(1 << 23):
            target.write(piece)
    os.replace("copied.tmp", "copied")
times = [(seconds(emit), seconds(copy)) for _ in range(rounds + 1)][1:]
print(json.dumps(times))
"""
BLOCKS = """
name: blocks
input: 3x64x64
defaults: {{conv: bn relu}}
blocks:
  basic(w):
    residual: [3x3 conv w, 3x3 conv w linear]
    then: relu
net:
  stem: 3x3 conv 16
  body: {count} * basic(16)
  pool: gap
  fc: fc 10
"""
BLOCKS_EXPORT = """
import sys, torch
sys.path.insert(0, ".")
sys.setrecursionlimit(100_000)
from blocks import Blocks
torch.onnx.export(Blocks().eval(), (torch.zeros(2, 3, 64, 64),), "export.onnx", dynamo=True, verbose=False,
                  dynamic_shapes=({0: torch.export.Dim("N")},))
"""


def archdsl(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "archdsl", *arguments]


# --- whole processes --------------------------------------------------------------------------------------------


def processes(name: str, weights: str, export: bool) -> dict[str, list[str]]:
    options = ["--weights", weights] if weights else []
    commands = {"archdsl": archdsl("compile", name, *options, "-o", f"{name}.onnx", "--force")}
    if export:
        for exporter, arguments in EXPORTERS.items():
            script = EXPORT.format(arguments=arguments)
            commands[exporter] = [sys.executable, "-c", script, name, f"{exporter}.onnx", weights]
    return commands


def whole(names: list[str], rounds: int, export: bool, folder: Path) -> dict[str, dict[str, Run]]:
    """The medians of each process, by network and source of its weights."""
    results = {}
    for name in names:
        file = folder / f"{name}.safetensors"
        run(archdsl("compile", name, "--to", "weights", "-o", str(file), "--force"), folder)
        for what, weights in (("random", ""), ("safetensors", str(file))):
            results[f"{name}, {what}"] = interleaved(processes(name, weights, export), rounds, folder)
    return results


def whole_table(results: dict[str, dict[str, Run]]) -> str:
    rows = []
    for name, runs in results.items():
        ours, others = runs["archdsl"], {k: v for k, v in runs.items() if k != "archdsl"}
        row = [name, f"{ours.cpu_s:.2f} s", f"{ours.peak_bytes / 2**20:,.0f} MiB"]
        for other in others.values():
            row += [f"{other.cpu_s:.1f} s", f"{other.peak_bytes / 2**20:,.0f} MiB"]
        if others:
            row += [
                f"{min(o.cpu_s for o in others.values()) / ours.cpu_s:.1f}",
                f"{min(o.peak_bytes for o in others.values()) / ours.peak_bytes:.1f}",
            ]
        rows.append(row)
    exporters = [title for exporter in EXPORTERS for title in (exporter, "peak")]
    head = ["network, weights", "archdsl", "peak", *exporters, "exporter / archdsl", "memory"]
    return table(head[: len(rows[0])], rows)


# --- the writer alone -------------------------------------------------------------------------------------------


def emission(name: str, rounds: int, folder: Path) -> list[tuple[float, float]]:
    """CPU seconds for writing the file and for copying its weights, in turns in one process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", EMIT, name, str(folder / f"{name}.safetensors"), str(rounds)]
    done = subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True)
    times: list[tuple[float, float]] = json.loads(done.stdout)
    return times


# --- many blocks ------------------------------------------------------------------------------------------------


def blocks(rounds: int, export: bool, folder: Path) -> dict[str, Run]:
    """Networks of 1 (for the cost of the start), 100, 500 and 1,000 blocks, and 500 blocks through the exporter."""
    commands = {}
    for count in (1, 100, 500, 1000):
        (folder / f"b{count}.yaml").write_text(BLOCKS.format(count=count), encoding="utf-8")
        commands[f"{count:,} blocks"] = archdsl("compile", f"b{count}.yaml", "-o", f"b{count}.onnx", "--force")
    results = interleaved(commands, rounds, folder)
    if export:
        run(archdsl("compile", "b500.yaml", "--to", "torch", "-o", "blocks.py", "--force"), folder)
        results["500 blocks, dynamo"] = run([sys.executable, "-c", BLOCKS_EXPORT], folder)
    return results


def blocks_lines(results: dict[str, Run]) -> list[str]:
    start = results["1 blocks"].cpu_s
    rows = []
    for name, one in results.items():
        count = int(name.split()[0].replace(",", ""))
        more = f"{1000 * (one.cpu_s - start) / (count - 1):.2f} ms" if count > 1 and "dynamo" not in name else ""
        rows.append([name, f"{one.wall_s:.2f} s", f"{one.cpu_s:.2f} s", more])
    return [table(["network", "time", "CPU time", "per block"], rows)]


def _plain(value: Any) -> Any:
    """Converts each `Run` to a mapping: JSON has no named tuples."""
    if isinstance(value, Run):
        return value._asdict()
    return {key: _plain(inner) for key, inner in value.items()} if isinstance(value, dict) else value


# --- main -------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each process (3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--skip-export", action="store_true", help="time archdsl only")
    parser.add_argument(
        "--skip-blocks", action="store_true", help="skip the networks of many blocks, whose export takes minutes"
    )
    options = parser.parse_args()
    lacking = missing("torchvision", "onnxscript", "safetensors")
    export = not lacking and not options.skip_export
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results: dict[str, Any] = {"whole": whole(options.networks, options.rounds, export, folder)}
        first = options.networks[0]
        results["emission"] = emission(first, max(options.rounds, 5), folder)
        results["blocks"] = {} if options.skip_blocks else blocks(options.rounds, export, folder)
    where = machine("numpy", "onnx", "torch", "torchvision", "onnxscript")
    if options.json:
        print(json.dumps({"machine": where, "rounds": options.rounds, **_plain(results)}))
        return
    ratio = median(ours / copied for ours, copied in results["emission"])
    print(whole_table(results["whole"]))
    print(f"\n{first} with weights from a file: writing takes {ratio:.2f} times the CPU time of copying the bytes\n")
    print("\n".join(blocks_lines(results["blocks"]) if results["blocks"] else []))
    print(f"\n{where}; medians of {options.rounds} runs")
    if lacking:
        print(f"not compared with torch.onnx.export: pip install {' '.join(lacking)}")


if __name__ == "__main__":
    main()
