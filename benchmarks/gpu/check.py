"""Run the checks that need a GPU: `python benchmarks/gpu/check.py [--seconds 3] [-o gpu.md] [NETWORK ...]`.

Compares every output on the GPU with that on the CPU. Then times, for each network and batch, archdsl's ONNX file in
ONNX Runtime (CUDA, and TensorRT if it is installed) against PyTorch eager, channels_last, torch.compile and the traced
ONNX file, in turns on the same GPU, in float32; then archdsl's file in float16. Prints Markdown tables and the
environment. Exits with 1 if a difference exceeds its tolerance or a node that computes ran on the CPU, and with 2 if
there is no GPU.

Inputs and outputs stay in the memory of the GPU, for every contestant: copies from and to the CPU are not timed. A
table of its own times them: one run of archdsl's file with copies, as `predict` runs it, and one without.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from measure import ROOT, machine, missing, table

NETWORKS = ("resnet50", "vgg16", "googlenet", "densenet121", "inception_v3", "mobilenet_v2")
OTHERS = ("torch", "channels_last", "compile", "traced")
TOLERANCES = {"fp32": 1e-4, "fp16": 3e-2}
"""Tolerance of `max|a - b| / max|b|`, `b` from the CPU. float32 without TensorFloat-32 has 24 bits, and the GPU sums in
another order; float16 has 11 bits."""


def archdsl(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archdsl", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )


def difference(folder: str, name: str, precision: str, device: str) -> float:
    """The difference between archdsl's file on the GPU and the float32 file on the CPU, on a batch of random images."""
    import numpy as np

    from archdsl.network import load
    from archdsl.timing.contestants import CONTESTANTS
    from archdsl.timing.task import Task

    shape = load(name).input
    outputs = []
    for kind, where in (("fp32", "cpu"), (precision, device)):
        path = Path(folder) / f"{name}-{kind}.onnx"
        if not path.exists():
            done = archdsl("compile", name, "--precision", kind, "-o", str(path))
            if done.returncode:
                raise SystemExit(done.stderr)
        outputs.append(
            CONTESTANTS["archdsl"].make(Task("archdsl", str(path), "", "", {"input": (4, *shape)}, where)).outputs()[0]
        )
    first, second = outputs
    return float(np.abs(second - first).max() / np.abs(first).max())


def copies(folder: str, name: str, batch: int, device: str) -> tuple[list[str], bool]:
    """A run with copies and one without, in milliseconds, and the nodes by provider; whether all computing nodes ran
    on the GPU."""
    import time
    from statistics import median

    import numpy as np

    from archdsl.network import load
    from archdsl.runtime.session import open_session

    session = open_session(Path(folder) / f"{name}-fp32.onnx", device)
    values = {"input": np.ones((batch, *load(name).input), np.float32)}
    bound = session.bound(values)
    times: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(20):
        for kind, run in (("with", lambda: session.run(values)), ("without", bound.run)):
            start = time.perf_counter()
            run()
            times[kind].append(1000 * (time.perf_counter() - start))
    row = [name, device, str(batch), *(f"{median(times[kind][3:]):.2f}" for kind in times), session.place]
    return row, not session.warnings


def timings(name: str, batch: int, seconds: float, device: str, others: tuple[str, ...]) -> list[dict[str, Any]]:
    against = [word for other in others for word in ("--against", other)]
    done = archdsl(
        "bench",
        name,
        "--batch",
        str(batch),
        "--device",
        device,
        "--seconds",
        str(seconds),
        "--format",
        "json",
        *against,
    )
    if not done.stdout:
        print(f"{name}, {device}: {done.stderr.strip()[-400:]}", file=sys.stderr)
        return []
    results: list[dict[str, Any]] = json.loads(done.stdout)["timings"]
    return results


def row(results: list[dict[str, Any]]) -> list[str]:
    times = {one["contestant"]: one for one in results}
    ours = times["archdsl"]
    ratios = [f"{1 / times[other]['ratio'][0]:.2f}" if other in times else "-" for other in OTHERS]
    return [
        ours["network"],
        ours["device"],
        str(ours["batch"]),
        f"{ours['p50_ms']:.2f}",
        f"{ours['samples_s']:.0f}",
        *ratios,
    ]


def half(name: str, batch: int, seconds: float, folder: str) -> list[str]:
    """The time of archdsl's float16 file divided by that of its float32 file."""
    from archdsl.network import load
    from archdsl.timing.task import Task
    from archdsl.timing.turns import Contest

    shape = load(name).input
    with Contest(folder) as contest:
        for precision in ("fp32", "fp16"):
            contest.add(
                Task("archdsl", f"{folder}/{name}-{precision}.onnx", "", "", {"input": (batch, *shape)}, "cuda")
            )
        first, second = contest.timings(seconds)
    return [name, str(batch), f"{first.p50_ms:.2f}", f"{second.p50_ms:.2f}", f"{second.ratio[0]:.2f}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each timing (3)")
    parser.add_argument("--batch", default="1,8,64", help="samples at once (1,8,64)")
    parser.add_argument("-o", "--output", metavar="FILE", help="also write the tables to FILE")
    options = parser.parse_args()
    lacking = missing("torch", "onnxruntime", "onnxscript")
    if lacking:
        raise SystemExit(f"pip install {' '.join(lacking)}")
    import onnxruntime
    import torch

    providers = onnxruntime.get_available_providers()
    if not torch.cuda.is_available() or "CUDAExecutionProvider" not in providers:
        print("no GPU, or onnxruntime-gpu is not installed: nothing was measured", file=sys.stderr)
        return 2
    devices = ["cuda", *(["tensorrt"] if "TensorrtExecutionProvider" in providers else [])]
    batches = [int(size) for size in options.batch.split(",")]
    parts = [
        f"{torch.cuda.get_device_name()}; {machine('onnxruntime-gpu', 'torch', 'numpy')}",
        "Inputs and outputs stay in the memory of the GPU: copies are not timed, except in the table that says so.",
    ]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in options.networks:
            for precision, tolerance in TOLERANCES.items():
                error = difference(folder, name, precision, "cuda")
                worst = max(worst, error / tolerance)
                rows.append(
                    [name, precision, f"{error:.1e}", f"{tolerance:.0e}", "yes" if error <= tolerance else "NO"]
                )
        parts.append(table(["network", "precision", "difference from the CPU", "tolerance", "within"], rows))
        rows = []
        for name in options.networks:
            for batch in batches:
                for device in devices:
                    timed = timings(name, batch, options.seconds, device, OTHERS if device == "cuda" else ())
                    rows += [row(timed)] if timed else []
                print(f"{name}, batch {batch}: done", file=sys.stderr, flush=True)
        head = ["network", "device", "batch", "archdsl, ms", "samples/s", *(f"/ {other}" for other in OTHERS)]
        parts.append(table(head, rows) + "\n\nTime of archdsl's file / time of the other: below 1 archdsl is faster.")
        placed = [
            copies(folder, name, batch, device) for name in options.networks for batch in batches for device in devices
        ]
        head = ["network", "device", "batch", "with copies, ms", "without, ms", "ran"]
        parts.append(table(head, [row for row, _ in placed]))
        rows = [half(name, batch, options.seconds, folder) for name in options.networks for batch in batches]
        parts.append(table(["network", "batch", "float32 ms", "float16 ms", "float16 / float32"], rows))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return 1 if worst > 1 or not all(on_gpu for _, on_gpu in placed) else 0


if __name__ == "__main__":
    sys.exit(main())
