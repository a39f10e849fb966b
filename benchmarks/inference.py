"""How fast compiled networks run on the processor: our file beside other ways of running the same network.

`python benchmarks/inference.py [--seconds 4] [--batch 1,8] [--json FILE] [--int8] [NETWORK ...]`.

Every way runs in a process of its own, in turns (`archdsl bench`); a ratio is the middle of the turns' ratios. Weights
are random, the same for all, norms and biases as if trained: the exporter leaves out a bias that is all zero. The
outputs are compared as well. `--int8` instead times a file of `--precision int8` beside that of float32, calibrated on
random images: its time does not depend on them.
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
WAYS = ("traced", "slimmed", "openvino", "channels_last", "compile")
INT8 = ("resnet50", "googlenet", "alexnet")


def weights(name: str, folder: Path) -> Path:
    from safetensors.torch import save_file
    from size import module

    path = folder / f"{name}.safetensors"
    save_file(module(name).state_dict(), path)
    return path


def bench(name: str, given: Path, batch: int, seconds: float, ways: tuple[str, ...]) -> list[dict[str, Any]]:
    """The timings of one network: archdsl's first."""
    against = [word for way in ways for word in ("--against", way)]
    command = [
        sys.executable,
        "-m",
        "archdsl",
        "bench",
        name,
        "--weights",
        str(given),
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
    found: list[dict[str, Any]] = json.loads(done.stdout)["timings"]
    return found


def row(found: list[dict[str, Any]], ways: tuple[str, ...]) -> list[str]:
    """Our time by that of each other way: below 1 we are faster."""
    times = {one["contestant"]: one for one in found}
    ours = times["archdsl"]
    cells = [ours["network"], str(ours["batch"]), f"{ours['p50_ms']:.1f}"]
    for way in ways:
        cells.append(f"{1 / times[way]['ratio'][0]:.2f}" if way in times else "failed")
    ran = [1 / times[way]["ratio"][0] for way in ways if way in times]
    worst = max(one["difference"] for one in found)
    return [*cells, f"{max(ran):.2f}" if ran else "-", f"{worst:.0e}"]


def int8(name: str, batch: int, seconds: float) -> list[str]:
    """The time of the int8 file by that of the float32 one, in turns, and how far their outputs lie apart."""
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
        told = subprocess.run(
            [*base, "-o", f"{folder}/fp32.onnx"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        told = subprocess.run(
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
    said = " ".join(line.strip() for line in told.stdout.splitlines() if "cosine" in line or "top-1" in line)
    return [name, str(batch), f"{first.p50_ms:.1f}", f"{second.p50_ms:.1f}", f"{second.ratio[0]:.2f}", said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each timing (4)")
    parser.add_argument("--batch", default="1,8", help="samples at once (1,8)")
    parser.add_argument("--json", metavar="FILE", help="keep all that was measured")
    parser.add_argument("--int8", action="store_true", help="int8 beside float32")
    parser.add_argument("--ways", default=",".join(WAYS), help="what to compare with (all)")
    options = parser.parse_args()
    ways = tuple(options.ways.split(","))
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
            given = weights(name, Path(folder))
            for batch in batches:
                found = bench(name, given, batch, options.seconds, ways)
                kept += found
                rows.append(row(found, ways))
                print(f"{name}, batch {batch}: done", file=sys.stderr, flush=True)
                if options.json:
                    Path(options.json).write_text(
                        json.dumps({"machine": where, "timings": kept}, indent=1), encoding="utf-8"
                    )
    head = ["network", "batch", "ours, ms", *(f"/ {way}" for way in ways), "/ best", "difference"]
    print(f"{table(head, rows)}\n\n{where}; our time by theirs")


if __name__ == "__main__":
    main()
