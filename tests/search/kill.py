"""Kill commands that write files at random times: `python -m tests.search.kill --times 100`.

For each kind of output, a command that replaces an old file is killed. Then the file must be the old or the new one,
byte for byte, and a second run of the command must leave no temporary file. Half of the kills happen at any time, half
after the command started to write.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.places import ROOT

SPEC = "name: small\ninput: 3x32x32\ndefaults: {conv: bn relu}\nnet:\n  - 9 * 3x3 conv %d\n  - gap\n  - fc 10\n"


class Kind(NamedTuple):
    """A command, and the file that it makes. `net.yaml` holds another network when the old one is made."""

    command: Sequence[str]
    file: str
    first: Sequence[str] | None = None
    """The command that makes the old artefact, where it is another; empty where it stands there already."""


KINDS: Mapping[str, Kind] = {
    "onnx": Kind(["compile", "net.yaml", "-o", "x.onnx"], "x.onnx"),
    "onnx and its data": Kind(["compile", "net.yaml", "-o", "x.onnx", "--external-data"], "x.onnx"),
    "weights": Kind(["compile", "net.yaml", "--to", "weights", "-o", "x.safetensors"], "x.safetensors"),
    "source": Kind(["compile", "net.yaml", "--to", "torch", "-o", "x.py"], "x.py"),
    "svg": Kind(["diagram", "net.yaml", "-o", "x.svg"], "x.svg"),
    "png": Kind(["diagram", "net.yaml", "-o", "x.png"], "x.png"),
    "page": Kind(["diagram", "net.yaml", "-o", "x.html"], "x.html"),
    "certificate": Kind(["verify", "x.onnx", "--renew"], "x.onnx", ["compile", "net.yaml", "-o", "x.onnx"]),
    "list": Kind(
        ["list", "vgg*", "--format", "csv", "-o", "x.csv", "--force"],
        "x.csv",
        ["list", "res*", "--format", "csv", "-o", "x.csv"],
    ),
    "fmt": Kind(["fmt", "long.yaml"], "long.yaml", []),
}
"""What `archdsl` writes."""


class Outcome(NamedTuple):
    old: int
    new: int
    wrong: Sequence[str]


def attempt(kind: Kind, times: int, seed: int) -> Outcome:
    """Kills the command `times` times and says what was found after each kill, and after the run that followed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        old, new = Path(name) / "old", Path(name) / "new"
        before(old, kind)
        shutil.copytree(old, new)
        took = run(new, kind.command)
        wrong: list[str] = []
        found: Counter[str] = Counter()
        for number in range(times):
            folder = Path(name) / f"{number}"
            shutil.copytree(old, folder)
            _killed(folder, kind, took, rng, begun=number % 2 == 1)
            state = state_of(folder, old, new, kind)
            found[state] += 1
            wrong += [state] if state not in ("old", "new") else []
            run(folder, kind.command)
            if state_of(folder, old, new, kind) != "new":
                wrong.append("the next run did not make what it should")
            if len([*folder.iterdir()]) != len([*new.iterdir()]):
                wrong.append(f"left after the next run: {', '.join(sorted(p.name for p in folder.iterdir()))}")
            shutil.rmtree(folder)
    return Outcome(found["old"], found["new"], wrong)


def before(folder: Path, kind: Kind) -> None:
    """The folder in which the command is to run, with the old artefact."""
    folder.mkdir()
    (folder / "net.yaml").write_text(SPEC % 16)
    (folder / "long.yaml").write_text((SPEC % 16).replace("9 *", "9   *"))
    first = kind.command if kind.first is None else kind.first
    if first:
        run(folder, first)
    (folder / "net.yaml").write_text(SPEC % 24)


def start(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "archdsl", *command],
        cwd=folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def run(folder: Path, command: Sequence[str]) -> float:
    """Runs a command to its end, and returns the seconds that it took."""
    begin = time.perf_counter()
    process = start(folder, command)
    _, output = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - begin


def _killed(folder: Path, kind: Kind, took: float, rng: random.Random, begun: bool) -> None:
    process = start(folder, kind.command)
    if begun:  # wait for the first temporary file, then a little
        until = time.perf_counter() + 4 * took
        while process.poll() is None and time.perf_counter() < until:
            if any(p.startswith(".archdsl-") for p in os.listdir(folder)):
                break
        time.sleep(rng.choice((0, rng.uniform(0, 0.002), rng.uniform(0, 0.1 * took))))
    else:
        time.sleep(rng.uniform(0, 1.1 * took))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)


def state_of(folder: Path, old: Path, new: Path, kind: Kind) -> str:
    """Return `old` or `new`, the file that is in the folder, or what is wrong with it."""
    try:
        found = whole(folder / kind.file)
    except Exception as problem:
        return f"torn: {problem}"
    states = {whole(old / kind.file): "old", whole(new / kind.file): "new"}
    return states.get(found, "neither old nor new")


def whole(path: Path) -> bytes:
    """Return the artefact as bytes; a model together with its external data."""
    if path.suffix != ".onnx":
        return path.read_bytes()
    import onnx

    return onnx.load(str(path)).SerializeToString(deterministic=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=100, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all by default")
    options = parser.parse_args()
    bad = 0
    for name in options.kinds or KINDS:
        outcome = attempt(KINDS[name], options.times, options.seed)
        bad += len(outcome.wrong)
        print(
            f"{name:<18} {options.times} kills: {outcome.old} old, {outcome.new} new, {len(outcome.wrong)} wrong",
            flush=True,
        )
        for line in outcome.wrong[:5]:
            print(f"    {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
