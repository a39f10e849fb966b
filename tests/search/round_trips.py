"""Specs that must come back as the same network: `python -m tests.search.round_trips --count 500 --files`.

Each spec is written in every form (`expand`, `expand --flat`, `fmt`, and `fmt` of both), read again and compared by
`archdsl.diff`. With `--files` it is also compiled, and `import` must read the same network from each file. The specs
are the library with all variants, also on signals and volumes, those in the docs, and random ones.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import archdsl
from archdsl.axes import IMAGE, kind_of
from archdsl.backends.spec.rewrite import flat_text, formatted, long_text
from archdsl.source import decode
from archdsl.spec.open import from_source, open_spec
from tests.search.networks.make import specification
from tests.search.networks.text import written
from tests.support.places import DOCS

COMPILED: Sequence[Mapping[str, Any]] = (
    {},
    {"passes": ()},
    {"precision": "fp16"},
    {"precision": "bf16"},
    {"precision": "fp16", "passes": ()},
    {"precision": "bf16", "passes": ()},
)
INPUTS = {1: "3x224", 3: "3x64x64x64"}
"""Inputs for networks of the library with other axes."""
INT8: Sequence[Mapping[str, Any]] = ({"precision": "int8"}, {"precision": "int8", "passes": ()})


def forms(text: str, name: str = "spec.yaml", variant: str | None = None) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield each form of a spec, and the function that writes it."""
    spec = from_source(decode(text.encode(), name), variant)
    network = archdsl.loads(text, name=name, variant=variant)

    def again(write: Callable[[Any], str]) -> Callable[[], str]:
        return lambda: formatted(decode(write(spec).encode(), name))

    yield "expand", lambda: long_text(spec)
    yield "expand --flat", lambda: flat_text(spec)
    yield "the text in a file", lambda: network.metadata()["spec"]
    yield "fmt of expand", again(long_text)
    yield "fmt of expand --flat", again(flat_text)
    if variant is None:
        yield "fmt", lambda: formatted(spec.source)


def mismatches(text: str, variant: str | None = None, folder: Path | None = None) -> list[str]:
    """Return what does not come back. With a `folder`, files of the network are compiled there and imported."""
    network = archdsl.loads(text, variant=variant)
    found = []
    for form, write in forms(text, variant=variant):
        found += _attempt(form, network, lambda write=write: archdsl.loads(write()))  # type: ignore[misc]
    for options in compiled(network, folder) if folder is not None else ():
        path = (folder or Path()) / "network.onnx"

        try:
            network.to_onnx(path, **options, force=True)
        except archdsl.ArchError as refused:
            if "calibrate" in options:  # ONNX Runtime cannot run or quantise every network
                continue
            found.append(f"compile with {dict(options)}: {refused.diagnostics[0].code}")
        else:
            found += _attempt(
                f"the file of {dict(options)}", network, lambda path=path: archdsl.import_model(path).network
            )
    return found


def compiled(network: archdsl.Network, folder: Path | None) -> Iterator[Mapping[str, Any]]:
    """Yield the options of each file that a network can be compiled to: int8 needs images."""
    yield from COMPILED
    shapes = [network.graph.nodes[i].shape for i in network.graph.inputs]
    if folder is not None and len(shapes) == 1 and kind_of(shapes[0]) is IMAGE and shapes[0][0] in (1, 3):
        picture = folder / "picture.png"
        if not picture.exists():
            from PIL import Image

            Image.new("RGB", (8, 8), (90, 120, 200)).save(picture)
        yield from ({**options, "calibrate": [picture]} for options in INT8)


def _attempt(form: str, network: archdsl.Network, again: Callable[[], archdsl.Network]) -> list[str]:
    try:
        difference = archdsl.diff(network, again())
    except archdsl.ArchError as refused:
        return [f"{form}: {refused.diagnostics[0].code} {refused.diagnostics[0].message}"]
    except Exception:  # a bug of any kind is a finding
        return [f"{form}: {traceback.format_exc(limit=-2).strip()}"]
    return [] if difference.equal else [f"{form}: {' / '.join(difference.text().splitlines()[:6])}"]


# --- specs -------------------------------------------------------------------------------------------------------


def of_docs() -> Iterator[tuple[str, str]]:
    """Yield the specs in the docs by page and number."""
    for page in sorted(DOCS.rglob("*.md")):
        blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for number, text in enumerate(blocks):
            if re.search(r"^net:", text, re.MULTILINE) and "extends:" not in text:
                yield f"{page.name} {number}", text


def of_library(pattern: str, axes: int | None = None) -> Iterator[tuple[str, str]]:
    """Yield the library's networks by name, each as a spec; with `axes`, those for images on other inputs."""
    for name in archdsl.list(pattern):
        if axes is None:
            yield name, long_text(open_spec(name))
        else:
            yield f"{name} with axes: {axes}", f"extends: {name}\nname: other\naxes: {axes}\ninput: {INPUTS[axes]}\n"


def random_spec(seed: int) -> str:
    return written(specification(seed), seed, (60, 200)[seed % 2])


def sound(text: str) -> bool:
    """Whether `check` accepts the spec."""
    try:
        network = archdsl.loads(text)
        return archdsl.diff(network, network).equal
    except archdsl.ArchError:
        return False


def specs(chosen: argparse.Namespace) -> Iterator[tuple[str, str]]:
    if chosen.library is not None:
        yield from of_library(chosen.library, chosen.axes)
    if chosen.docs:
        yield from of_docs()
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        yield f"network {seed}", random_spec(seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=0, help="random networks")
    parser.add_argument("--seed", type=int, default=0, help="number of the first random network")
    parser.add_argument("--library", nargs="?", const="*", metavar="PATTERN", help="the networks of the library")
    parser.add_argument("--axes", type=int, choices=INPUTS, help="the library on signals (1) or volumes (3)")
    parser.add_argument("--docs", action="store_true", help="the specs in the docs")
    parser.add_argument("--files", action="store_true", help="compile each network too, and import the files")
    chosen = parser.parse_args()
    done = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in specs(chosen):
            if not sound(text):
                continue
            done += 1
            for mismatch in mismatches(text, folder=Path(folder) if chosen.files else None):
                wrong += 1
                print(f"{name}: {mismatch[:400]}", flush=True)
    print(f"{done} specs, {wrong} that do not come back")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
