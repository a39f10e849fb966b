"""Hashes of everything that archdsl makes of its library, to prove that a change of the code changes none of it.

    python -m tests.search.outputs record before.json
    python -m tests.search.outputs compare before.json

For every network: `params --format json`, `expand`, `check --format json`, the printed source, the ONNX file with and
without passes (seed 0), DOT and SVG at three levels, the volumes and article drawings; for every file of the library
`fmt`. Every output is made through the command line, so that the hashes stay comparable while modules move. A layout
that runs into its time limit fails the run: its drawing would depend on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from tests.support.places import ROOT, SPECS

LEVELS = ("network", "block", "layer")
ONNX = ("onnx", "onnx-O0")


def recipes(name: str, folder: str) -> dict[str, list[str]]:
    """The command lines of one network by the name of what they make; `@` stands for a file of its own."""
    drawings = {
        f"{kind}-{level}": ["diagram", name, "--format", kind, "--level", level, "-o", "-"]
        for kind in ("dot", "svg")
        for level in LEVELS
    }
    return {
        "params": ["params", name, "--format", "json"],
        "expand": ["expand", name],
        "source": ["compile", name, "--to", "torch", "-o", "-"],
        "onnx": ["compile", name, "--seed", "0", "-o", f"{folder}/default.onnx"],
        "onnx-O0": ["compile", name, "--seed", "0", "-O0", "-o", f"{folder}/plain.onnx"],
        **drawings,
        "volumes": ["diagram", name, "--style", "volumes", "--format", "svg", "-o", "-"],
        "article": ["diagram", name, "--style", "article", "--format", "svg", "-o", "-"],
    }


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(what: str, arguments: list[str], folder: str) -> str:
    """The hash of what a command writes: its file if it names one, else its standard output, with its exit status."""
    result = CliRunner(catch_exceptions=True).invoke(_command, arguments)
    if "time limit" in result.stderr or "too long" in result.stderr:
        raise SystemExit(f"{what}: the layout ran into its time limit: {result.stderr}")
    made = sorted(Path(folder).iterdir())
    text = result.stdout_bytes.replace(str(ROOT).encode(), b".")
    files = [digest(path) for path in made]
    for path in made:
        path.unlink()
    return "-".join([str(result.exit_code), *(files or [hashlib.sha256(text).hexdigest()])])


def _command_line() -> object:
    import click

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(words: tuple[str, ...]) -> None:
        main(list(words))

    return command


_command = _command_line()


def of_network(job: tuple[str, bool]) -> dict[str, str]:
    """Every hash of one network."""
    name, with_onnx = job
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        wanted = {k: v for k, v in recipes(name, folder).items() if with_onnx or k not in ONNX}
        return {f"{name} {what}": run(f"{name} {what}", words, folder) for what, words in wanted.items()}


def of_file(path: Path) -> dict[str, str]:
    """The hashes of one file of the library: its short form, and what `check` says of it."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        (Path(folder) / path.name).write_bytes(path.read_bytes())
        code = CliRunner().invoke(_command, ["fmt", f"{folder}/{path.name}"]).exit_code
        done = {f"{path.name} fmt": f"{code}-{digest(Path(folder) / path.name)}"}
        for name in [path.stem]:
            done[f"{path.name} check"] = run(f"{path.name} check", ["check", name, "--format", "json"], other)
    return done


def outputs(names: list[str], with_onnx: bool, jobs: int) -> Iterator[dict[str, str]]:
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        yield from pool.map(
            of_file, [path for path in sorted(SPECS.glob("*.yaml")) if len(names) > 20 or path.stem in names]
        )
        yield from pool.map(of_network, [(name, with_onnx) for name in names])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="these networks alone")
    parser.add_argument(
        "--without-onnx", action="store_true", help="leave out the ONNX files, which take most of the time"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def program() -> int:
    """Record, or compare with what was recorded: 0 if every hash is equal."""
    args = arguments()
    now: dict[str, str] = {}
    for made in outputs(args.only or archdsl.list(), not args.without_onnx, args.jobs):
        now |= made
    if args.what == "record":
        args.file.write_text(json.dumps(now, indent=1) + "\n")
        print(f"{len(now)} hashes recorded")
        return 0
    before = json.loads(args.file.read_text())
    changed = [key for key, value in now.items() if before.get(key) != value]
    print(*(f"changed: {key}" for key in changed), f"{len(now)} hashes compared, {len(changed)} changed", sep="\n")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(program())
