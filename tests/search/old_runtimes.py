"""The random networks' ONNX files on another ONNX Runtime: `python -m tests.search.old_runtimes --version 1.20.*
--count 1000`, also in an older opset (`--opset 17`).

Models, inputs, and the reference's outputs with their bounds are written once; then a virtual environment is made that
holds only numpy and that runtime, and runs them. Each network is tried as it is and optimised.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

RUNNER = """
import sys, pathlib, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 4, 1
failed = done = 0
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.npz")):
    data = np.load(file)
    for model in (file.with_suffix(".onnx"), file.with_suffix(".small.onnx")):
        done += 1
        try:
            session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            feeds = {i.name: data["in " + i.name] for i in session.get_inputs()}
            for name, value in zip([o.name for o in session.get_outputs()], session.run(None, feeds)):
                want, bound = data["out " + name], float(data["bound " + name])
                apart = np.abs(value.astype(np.float64) - want).max() if value.shape == want.shape else np.inf
                if not apart <= bound:
                    raise ValueError(f"{name} is off by {apart:.3g}, bound {bound:.3g}")
        except Exception as e:
            failed += 1
            print(model.name, str(e)[:200], flush=True)
print(f"onnxruntime {ort.__version__}: {done} models, {failed} not as expected")
sys.exit(failed > 0)
"""


def dump(folder: Path, first: int, count: int, opset: int | None) -> int:
    """Writes the networks whose outputs can be compared; how many."""
    import numpy as np
    import torch

    from archdsl.backends.onnx.write import build
    from archdsl.backends.weights import folded
    from archdsl.passes.optimise import optimise
    from tests.search.networks.check import WORTHLESS, case_of, reference
    from tests.search.networks.make import specification

    written = 0
    for seed in range(first, first + count):
        case = case_of(specification(seed), seed)
        feeds = case.feeds()
        with torch.no_grad():
            want = reference(case, feeds)
        if not want.comparable or any(
            want.bounds[n] > WORTHLESS * float(v.abs().max()) for n, v in want.outputs.items()
        ):
            continue
        smaller = optimise(case.graph)
        models = {
            ".onnx": build(case.graph, case.weights, opset=opset),
            ".small.onnx": build(smaller, folded(case.weights, smaller), opset=opset),
        }
        for suffix, model in models.items():
            (folder / f"{seed:06}{suffix}").write_bytes(model.SerializeToString())
        names = [output.name for output in models[".onnx"].graph.output]
        arrays = {f"in {name}": x for name, x in feeds.items()}
        for name, (key, value) in zip(names, want.outputs.items(), strict=True):
            arrays |= {f"out {name}": value.numpy(), f"bound {name}": np.float64(want.bounds[key])}
        np.savez(folder / f"{seed:06}.npz", **arrays)
        written += 1
        if written % 100 == 0:
            print(f"{written} written", file=sys.stderr, flush=True)
    return written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--version", action="append", help="of onnxruntime, as pip writes it; may be given again (default 1.20.*)"
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--opset", type=int, help="of the files (default: that of archdsl)")
    chosen = parser.parse_args()
    worst = 0
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch) / "models"
        models.mkdir()
        print(
            f"{dump(models, chosen.seed, chosen.count, chosen.opset)} of {chosen.count} networks can be compared",
            flush=True,
        )
        for version in chosen.version or ["1.20.*"]:
            home = Path(scratch) / f"venv {version}".replace("*", "x")
            venv.create(home, with_pip=True)
            python = home / "bin" / "python"
            subprocess.run(
                [
                    python,
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--disable-pip-version-check",
                    f"onnxruntime=={version}",
                    "numpy<2" if version < "1.19" else "numpy",
                ],
                check=True,
            )
            worst = max(worst, subprocess.run([python, "-c", RUNNER, models], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
