"""A page that classifies pictures in the browser with onnxruntime-web, and connects to nothing but its own folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from archdsl.axes import IMAGE, kind_of
from archdsl.diagnostics import error
from archdsl.network import Network
from archdsl.runtime.embedded import INPUT

RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""Files of the folder `dist` of the npm package onnxruntime-web (MIT licence), 14 MB: archdsl does not contain them."""
VERSION = "1.30.0"
"""The version of onnxruntime-web that the page was tested with."""
_HELP = f"`npm pack onnxruntime-web@{VERSION}`, unpack the archive, and name its folder `package/dist`"


def runtime_files(network: Network, folder: str | os.PathLike[str] | None) -> dict[str, bytes | Path]:
    """Return the files to copy by their names in the bundle; none without a folder.

    Raises E0873 if the folder does not have them, or if the network is no classifier of images.
    """
    if network.classes is None:
        raise error("E0873", f"the page shows classes, and `{network.name}` has none", status=2)
    shape = network.input
    if isinstance(shape, dict) or kind_of(shape) is not IMAGE:
        inputs = f"{len(shape)} inputs" if isinstance(shape, dict) else kind_of(shape).noun
        raise error("E0873", f"the page reads a picture, and the input of `{network.name}` is {inputs}", status=2)
    if folder is None:
        return {}
    paths = {f"runtime/{name}": Path(folder) / name for name in RUNTIME}
    for path in paths.values():
        if not path.is_file():
            message = f"`{str(folder)[-120:]}` has no file `{path.name}`"
            raise error("E0873", message, status=2, help=_HELP)
    return {**paths}


def web_files(
    network: Network, models: Sequence[Path], runtime: Mapping[str, bytes | Path], complete: bool
) -> dict[str, bytes | Path]:
    """Return the files of the page by their names, the page first; unless `complete`, the README says what lacks."""
    texts = {name: (files("archdsl.serving") / "files" / name).read_text(encoding="utf-8") for name in _NAMES}
    facts = {"name": network.name, "input": INPUT, "output": network.output_kind, "labels": network.labels}
    texts["network.json"] = json.dumps(facts, ensure_ascii=False)
    texts["README.md"] = texts.pop("web.md").replace("@RUNTIME@", "" if complete else _missing())
    return {name: text.encode() for name, text in texts.items()} | {path.name: path for path in models} | {**runtime}


_NAMES = ("index.html", "page.js", "page.css", "web.md")


def _missing() -> str:
    archive = f"onnxruntime-web-{VERSION}.tgz"
    names = " ".join(f"package/dist/{name}" for name in RUNTIME)
    return (
        "\nTwo files of onnxruntime-web are missing, without which the page does not run. Once, with a network:\n\n"
        f"    npm pack onnxruntime-web@{VERSION}\n"
        f"    mkdir runtime && tar xzf {archive} --strip-components 2 -C runtime {names}\n"
    )
