"""Fuzzing of what reads a stranger's text: `python -m tests.search.fuzz --seconds 600`.

Targets: `loader` (a whole spec: read, checked, elaborated, its errors rendered, and if it is sound written again),
`shorthand` (a node's short form), `expression` (an expression, or a call). Only ArchError may come out. With atheris
(libFuzzer) the mutations are led by coverage; without it, texts of the corpus are mixed and changed at random. A
finding is kept under `--findings`, once for each place that it comes from.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "fuzz_corpus"
MOST_NODES = 2_000
"""A spec of a line may mean 250,000 nodes, which is legal, and takes its time."""
MOST = 4096
"""Bytes of an input: what is larger finds nothing that this does not, and later."""


def targets() -> dict[str, Callable[[bytes], None]]:
    """The targets; archdsl is imported here, so that atheris can instrument it."""
    import archdsl
    from archdsl.backends.spec.rewrite import formatted, long_text
    from archdsl.diagnostics import ArchError, Source, Span
    from archdsl.elaborate import bound, elaborate
    from archdsl.language import expressions
    from archdsl.language.expressions import Env
    from archdsl.language.shorthand import desugar
    from archdsl.source import Scalar, decode
    from archdsl.spec.open import document_of, from_source

    bound.MAX_NODES = MOST_NODES

    def told(error: ArchError) -> None:
        assert error.diagnostics, "an error that says nothing"
        str(error)

    def loader(data: bytes) -> None:
        try:
            source = decode(data, "fuzz.yaml")
            spec = from_source(source)
            graph = elaborate(document_of(spec))
        except ArchError as e:
            told(e)
            return
        if len(graph.nodes) < 100:
            with contextlib.suppress(ArchError):  # one of its variants may be wrong
                fingerprint = archdsl.loads(formatted(source)).fingerprint
                assert archdsl.loads(long_text(spec)).fingerprint == fingerprint

    def scalar(data: bytes) -> Scalar:
        text = data.decode("utf-8", "replace").replace("\0", " ")
        return Scalar(text, text, Span(Source("fuzz.yaml", text), 0, len(text)), True, 0)

    def shorthand(data: bytes) -> None:
        try:
            desugar(scalar(data), ("unit", "block"))
        except ArchError as e:
            told(e)

    def expression(data: bytes) -> None:
        known = {"k": 4, "n": (1, 2, 3), "flag": True, "act": "relu", "in": 8}
        for parse in (expressions.parse, expressions.parse_call):
            try:
                made: Any = parse(scalar(data))
                if parse is expressions.parse:
                    made.evaluate(Env(known))
            except ArchError as e:
                told(e)

    return {"loader": loader, "shorthand": shorthand, "expression": expression}


# --- findings -------------------------------------------------------------------------------------------------


class Findings:
    """What came out, each place once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: set[str] = set()
        self.count = 0

    def guarded(self, name: str, target: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def run(data: bytes) -> None:
            self.count += 1
            start = time.process_time()
            try:
                target(data)
            except Exception as e:
                self.keep(name, data, e)
            if time.process_time() - start > 10:
                self.keep(name, data, TimeoutError(f"{time.process_time() - start:.0f} s"))

        return run

    def keep(self, name: str, data: bytes, problem: BaseException) -> None:
        frames = [f for f in traceback.extract_tb(problem.__traceback__) if "archdsl" in f.filename]
        place = (
            f"{type(problem).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
            if frames
            else repr(problem)
        )
        if place in self.places:
            return
        self.places.add(place)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        file.write_bytes(data)
        print(f"FOUND {place}: {problem}\n  kept as {file}", file=sys.stderr, flush=True)


def with_atheris(name: str, seconds: int, seed: int, folder: Path) -> int:
    """libFuzzer ends the process by itself, so it runs in one of its own: `--one`."""
    command = [
        sys.executable,
        "-m",
        "tests.search.fuzz",
        "--one",
        name,
        "--seconds",
        str(seconds),
        "--seed",
        str(seed),
        "--findings",
        str(folder),
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    lines = done.stderr.splitlines()
    print("\n".join(line for line in lines if line.startswith(("FOUND", "  kept"))))
    runs = [line for line in lines if line.startswith("Done ")]
    if done.returncode or not runs:
        print(done.stderr[-2000:])
        raise SystemExit(f"{name}: the fuzzer stopped with {done.returncode}")
    return int(runs[-1].split()[1])


def one(name: str, seconds: int, seed: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["archdsl"]):
        chosen = targets()[name]
    with tempfile.TemporaryDirectory() as scratch:
        arguments = [
            f"-max_total_time={seconds}",
            f"-max_len={MOST}",
            "-timeout=120",
            "-rss_limit_mb=3000",
            f"-seed={seed + 1}",
            "-print_final_stats=0",
            "-only_ascii=0",
            scratch,
            str(CORPUS / name),
        ]
        atheris.Setup([sys.argv[0], *arguments], Findings(folder).guarded(name, chosen))
        atheris.Fuzz()


def without(name: str, seconds: float, seed: int, folder: Path, most: float = float("inf")) -> int:
    """Texts of the corpus, mixed and changed at random."""
    found = Findings(folder)
    target = found.guarded(name, targets()[name])
    corpus = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    for text in corpus:
        target(text)
    rng, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end and found.count < most:
        target(changed(rng, corpus)[:MOST])
    if found.places:
        raise SystemExit(f"{name}: {len(found.places)} findings")
    return found.count


TOKENS = [
    t.encode()
    for t in (
        "conv maxpool fc bn relu add concat residual: inception: branches: dense do: op: out: kernel: stride: from:"
        " when repeat: as then: net: input: args: blocks: defaults: aux: outputs: variants: extends: <- / // * ** ( ) ["
        " ] { } , : - & ! | > ' \" # % = == <= if else and or not in i first last k n[0] 3x3 0x0 99999999999 1e999 -1"
        " 0.5 nan inf true null ~ x.0 {0} {1} \\x00 é ﬁ ... --- ?"
    ).split()
]


def changed(rng: random.Random, corpus: list[bytes]) -> bytes:
    data = rng.choice(corpus)
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        at, to = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        way = rng.randrange(6)
        if way == 0:
            data = data[:at] + rng.choice(TOKENS) + data[at:]
        elif way == 1:
            data = data[:at] + data[min(to, at + rng.randint(1, 8)) :]
        elif way == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif way == 3:
            data = data[:to] + data[at:to] + data[to:]
        elif way == 4:
            other = rng.choice(corpus)
            place = rng.randint(0, len(other))
            data = data[:at] + other[place : place + rng.randint(1, 60)] + data[to:]
        else:
            lines = data.split(b"\n")
            rng.shuffle(lines)
            data = b"\n".join(lines)
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="in all, shared by the targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", help="by default all")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"))
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        one(chosen.one, chosen.seconds, chosen.seed, chosen.findings)
        return 0
    try:
        import atheris  # noqa: F401
    except ImportError:
        chosen.plain = True
    names = chosen.target or ["loader", "shorthand", "expression"]
    total = 0
    for name in names:
        run = without if chosen.plain else with_atheris
        count = run(name, chosen.seconds // len(names), chosen.seed, chosen.findings)
        print(f"{name}: {count:,} executions", flush=True)
        total += count
    print(
        f"{total:,} executions, only ArchError"
        if not any(chosen.findings.glob("*"))
        else f"{total:,} executions; see {chosen.findings}"
    )
    return 1 if any(chosen.findings.glob("*")) else 0


if __name__ == "__main__":
    sys.exit(main())
