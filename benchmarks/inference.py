"""Compare the inference time of archdsl's ONNX file on the CPU with other ways to run the same network.

`python benchmarks/inference.py [--seconds 4] [--batch 1,8] [--json FILE] [--int8] [NETWORK ...]`.

Each contestant runs in its own process, in turns (`archdsl bench`); a ratio is the median over the turns. All have the
same random weights, with norms and biases as after training: the exporter leaves out a bias that is all zero. The
outputs are compared as well. With `--int8`, it times the file of `--precision int8` against that of float32, calibrated
on random images, which do not affect the time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import ROOT, machine, table

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
    "efficientnet_b0",
)
OTHERS = ("traced", "slimmed", "openvino", "channels_last", "compile")
INT8 = ("resnet50", "googlenet", "alexnet")


def weights(name: str, folder: Path) -> Path:
    from safetensors.torch import save_file
    from size import module

    path = folder / f"{name}.safetensors"
    save_file(module(name).state_dict(), path)
    return path


def bench(name: str, file: Path, batch: int, seconds: float, others: tuple[str, ...]) -> list[dict[str, Any]]:
    """The timings of one network, archdsl first."""
    against = [word for other in others for word in ("--against", other)]
    command = [
        sys.executable,
        "-m",
        "archdsl",
        "bench",
        name,
        "--weights",
        str(file),
        "--batch",
        str(batch),
        "--seconds",
        str(seconds),
        "--format",
        "json",
        *against,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if not done.stdout:
        raise SystemExit(f"{name}: {done.stderr.strip()[-500:]}")
    timings: list[dict[str, Any]] = json.loads(done.stdout)["timings"]
    return timings


def row(timings: list[dict[str, Any]], others: tuple[str, ...]) -> list[str]:
    """The time of archdsl's file divided by that of each other contestant: below 1 archdsl is faster."""
    times = {one["contestant"]: one for one in timings}
    ours = times["archdsl"]
    cells = [ours["network"], str(ours["batch"]), f"{ours['p50_ms']:.1f}"]
    for other in others:
        cells.append(f"{1 / times[other]['ratio'][0]:.2f}" if other in times else "failed")
    ran = [1 / times[other]["ratio"][0] for other in others if other in times]
    worst = max(one["difference"] for one in timings)
    return [*cells, f"{max(ran):.2f}" if ran else "-", f"{worst:.0e}"]


def int8(name: str, batch: int, seconds: float) -> list[str]:
    """The time of the int8 file divided by that of the float32 file, in turns, and the difference of their outputs."""
    import numpy as np
    from PIL import Image

    from archdsl.network import load
    from archdsl.timing.task import Task
    from archdsl.timing.turns import Contest

    shape = load(name).input
    assert isinstance(shape, tuple)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        rng = np.random.default_rng(0)
        for number in range(16):
            smooth = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(smooth).resize((256, 256), Image.Resampling.BICUBIC).save(images / f"{number}.png")
        base = [sys.executable, "-m", "archdsl", "compile", name]
        subprocess.run([*base, "-o", f"{folder}/fp32.onnx"], cwd=ROOT, capture_output=True, text=True, check=True)
        done = subprocess.run(
            [*base, "--precision", "int8", "--calibrate", str(images), "-o", f"{folder}/int8.onnx"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        with Contest(folder) as contest:
            for precision in ("fp32", "int8"):
                contest.add(
                    Task("archdsl", f"{folder}/{precision}.onnx", "", "", {"input": (batch, *shape)}, threads=2)
                )
            first, second = contest.timings(seconds)
    report = " ".join(line.strip() for line in done.stdout.splitlines() if "cosine" in line or "top-1" in line)
    return [name, str(batch), f"{first.p50_ms:.1f}", f"{second.p50_ms:.1f}", f"{second.ratio[0]:.2f}", report]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each timing (4)")
    parser.add_argument("--batch", default="1,8", help="samples at once (1,8)")
    parser.add_argument("--json", metavar="FILE", help="write all timings to FILE")
    parser.add_argument("--int8", action="store_true", help="compare int8 with float32")
    parser.add_argument("--against", default=",".join(OTHERS), help="the other contestants (all)")
    options = parser.parse_args()
    others = tuple(options.against.split(","))
    batches = [int(size) for size in options.batch.split(",")]
    where = machine("numpy", "onnxruntime", "torch", "onnxslim", "openvino")
    if options.int8:
        head = ["network", "batch", "float32 ms", "int8 ms", "int8 / float32", "difference"]
        rows = [int8(name, batch, options.seconds) for name in options.networks or INT8 for batch in batches]
        print(f"{table(head, rows)}\n\n{where}")
        return
    kept, rows = [], []
    for name in options.networks or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            file = weights(name, Path(folder))
            for batch in batches:
                timings = bench(name, file, batch, options.seconds, others)
                kept += timings
                rows.append(row(timings, others))
                print(f"{name}, batch {batch}: done", file=sys.stderr, flush=True)
                if options.json:
                    Path(options.json).write_text(
                        json.dumps({"machine": where, "timings": kept}, indent=1), encoding="utf-8"
                    )
    head = ["network", "batch", "archdsl, ms", *(f"/ {other}" for other in others), "/ best", "difference"]
    print(f"{table(head, rows)}\n\n{where}; time of archdsl's file / time of the other")


if __name__ == "__main__":
    main()
