"""Compare the time of `archdsl params` with importing its two required libraries, and with torchinfo.

Medians of whole processes, run in turns. `python benchmarks/startup.py [--rounds 21] [--json]`.
"""

from __future__ import annotations

import argparse
import json
import sys

from measure import Run, interleaved, machine, missing, table

PARAMS = "archdsl params vgg16"
LIBRARIES = "import yaml, pydantic"
TORCHINFO = "torchinfo on torchvision's vgg16"
COMMANDS = {
    PARAMS: [sys.executable, "-m", "archdsl", "params", "specs/vgg16.yaml"],
    LIBRARIES: [sys.executable, "-c", "import yaml, pydantic; pydantic.BaseModel"],
    TORCHINFO: [
        sys.executable,
        "-c",
        (
            "import torchvision, torchinfo; print(torchinfo.summary(torchvision.models.vgg16(), (1, 3, 224, 224),"
            " verbose=0))"
        ),
    ],
}
TARGETS = {LIBRARIES: 2.0, TORCHINFO: 1 / 20}
"""Target: the maximum time of `archdsl params`, divided by that of the other process."""


def measure(rounds: int) -> dict[str, Run]:
    lacking = missing("torchvision", "torchinfo")
    return interleaved({name: c for name, c in COMMANDS.items() if name != TORCHINFO or not lacking}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, help="runs of each process (21)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    runs = measure(options.rounds)
    ratios = {name: runs[PARAMS].wall_s / runs[name].wall_s for name in TARGETS if name in runs}
    where = machine("pyyaml", "pydantic", "torch", "torchvision", "torchinfo")
    if options.json:
        print(
            json.dumps(
                {
                    "machine": where,
                    "runs": {k: v._asdict() for k, v in runs.items()},
                    "ratios": ratios,
                    "targets": TARGETS,
                }
            )
        )
        return
    rows = [
        [
            name,
            f"{1000 * one.wall_s:,.0f} ms",
            f"{1000 * one.cpu_s:,.0f} ms",
            f"{one.peak_bytes / 1e6:,.0f} MB",
            f"{ratios[name]:.3f}" if name in ratios else "",
            f"{TARGETS[name]:g}" if name in ratios else "",
        ]
        for name, one in runs.items()
    ]
    print(table(["process", "time", "CPU time", "peak memory", "params / this", "at most"], rows))
    print(f"\n{where}; medians of {options.rounds} runs")
    if TORCHINFO not in runs:
        print(f"not compared with torchinfo: pip install {' '.join(missing('torchvision', 'torchinfo'))}")


if __name__ == "__main__":
    main()
