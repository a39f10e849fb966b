"""`archdsl.bundle`: write the folder that a server or a browser reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack, get_args

from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_choice, check_flags, check_paths, check_range, conflict
from archdsl.files.atomic import WrittenFile, atomic_write, check_target, make_folder
from archdsl.files.overwrite_marks import has_mark
from archdsl.network import Network, as_network
from archdsl.progress import Watch
from archdsl.serving.triton import KINDS, TritonDevice, TritonSettings, triton_files
from archdsl.serving.web import RUNTIME, runtime_files, web_files

if TYPE_CHECKING:
    from archdsl.backends.weights.layout import ReadingOptions
    from archdsl.backends.weights.resolve import WeightsSource

AnyPath: TypeAlias = str | os.PathLike[str]
BundleTarget: TypeAlias = Literal["triton", "web"]
TARGETS: tuple[BundleTarget, ...] = get_args(BundleTarget)
MAX_BATCH, MAX_INSTANCES = 1024, 64


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder that was written. `notes` are those of the network, the weights and the bundle."""

    folder: Path
    target: BundleTarget
    files: tuple[WrittenFile, ...]
    weights: str | None
    random: bool
    notes: tuple[Diagnostic, ...]


def bundle(
    source: AnyPath | Network,
    target: BundleTarget,
    output: AnyPath | None = None,
    *,
    weights: WeightsSource | None = None,
    seed: int = 0,
    precision: Precision = "fp32",
    opset: int | None = None,
    embed_preprocess: bool = False,
    max_batch: int = 8,
    instances: int = 1,
    device: TritonDevice = "auto",
    tensorrt: bool = False,
    runtime: AnyPath | None = None,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    force: bool = False,
    progress: Watch | None = None,
    **reading: Unpack[ReadingOptions],
) -> Bundle:
    """Write a folder for `triton` (NVIDIA's inference server, and KServe) or `web` (a page that classifies pictures).

    `source` is a SPEC or a `Network`; `args` and `input` are those of `load`. `weights`, `seed`, `precision`, `opset`,
    `embed_preprocess` and `reading` are those of `Network.to_onnx`. For `triton`, `output` is the model repository, by
    default `models`, and the folder NAME in it is written; `max_batch` (1 to 1024), `instances` (1 to 64), `device`
    (`auto`, `cpu`, `gpu`) and `tensorrt` are settings of its configuration. For `web`, `output` is the folder, by
    default NAME-web; its model always reads raw pixels, and `runtime` is the folder `dist` of the npm package
    onnxruntime-web, from which two files are copied. An existing folder gets the files if it is a bundle, or with
    `force`; other files in it stay.

    Raises E0001 to E0004 for the arguments, E0703 for files that archdsl did not write, E0873 for a runtime without the
    files or a page for a network that is no classifier, and the errors of `load` and `Network.compile`.
    """
    check_choice("precision", precision, DTYPES)
    check_flags(embed_preprocess=embed_preprocess, tensorrt=tensorrt, force=force)
    check_paths(output=output, runtime=runtime)
    settings = TritonSettings(max_batch, instances, device, tensorrt)
    _check_settings(target, settings, embed_preprocess, runtime)
    network = as_network(source, args, input)
    web = target == "web"
    copied = runtime_files(network, runtime) if web else {}
    folder = Path(output or f"{network.name}-web") if web else Path(output or "models") / network.name
    with tempfile.TemporaryDirectory(prefix="archdsl-") as scratch:
        compiled = network.compile(
            Path(scratch) / "model.onnx",
            weights=weights,
            seed=seed,
            precision=precision,
            opset=opset,
            embed_preprocess=embed_preprocess or web,
            free_sizes=False if tensorrt else None,
            external_data=False if web else None,
            progress=progress,
            **reading,
        )
        models = [file.path for file in compiled.files]
        complete = bool(copied) or not _missing(folder)
        content = (
            web_files(network, models, copied, complete) if web else triton_files(network, models, settings, precision)
        )
        files = _write(folder, content, (*network.files, *_paths(weights)), force)
    notes = (*compiled.notes, *(_missing(folder) if web else ()))
    return Bundle(folder, target, files, compiled.weights, compiled.random, notes)


def _paths(*values: object) -> tuple[AnyPath, ...]:
    return tuple(value for value in values if isinstance(value, (str, os.PathLike)))


def _check_settings(
    target: BundleTarget, settings: TritonSettings, embed_preprocess: bool, runtime: AnyPath | None
) -> None:
    """Raises E0001, E0002, or E0003 for settings that exclude each other or do not apply to the target."""
    check_choice("target", target, TARGETS)
    check_choice("device", settings.device, KINDS)
    check_range("max_batch", settings.max_batch, 1, MAX_BATCH)
    check_range("instances", settings.instances, 1, MAX_INSTANCES)
    if target == "web" and settings != TritonSettings():
        raise conflict("`max_batch`, `instances`, `device` and `tensorrt` apply to the target triton")
    if target == "triton" and runtime is not None:
        raise conflict("`runtime` applies to the target web")
    if settings.tensorrt and embed_preprocess:
        raise conflict("`tensorrt` does not go with `embed_preprocess`: it has no Resize with antialiasing")
    if settings.tensorrt and settings.device == "cpu":
        raise conflict("`tensorrt` does not go with `device` cpu: it runs on a GPU")


def _write(
    folder: Path, files: Mapping[str, bytes | Path], inputs: Sequence[AnyPath], force: bool
) -> tuple[WrittenFile, ...]:
    """Write texts and copies of files, all checked before the first one. What is new is removed if one fails."""
    own = has_mark("bundle")(folder / next(iter(files)))
    created = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    folders = dict.fromkeys((folder / name).parent for name in files)
    created = [*(one for one in folders if not os.path.lexists(one) and one != folder), *created]
    fresh: list[Path] = []
    written: list[WrittenFile] = []
    try:
        for one in folders:
            make_folder(one)
        for name in files:
            check_target(folder / name, inputs=inputs, force=force, replaceable=lambda _: own)
        for name, content in files.items():
            fresh += [folder / name] if not os.path.lexists(folder / name) else []
            with atomic_write(folder / name, inputs=inputs, force=force, replaceable=lambda _: own) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        while block := source.read(1 << 20):
                            file.write(block)
            assert file.written is not None
            written.append(file.written)
    except BaseException:
        for path in fresh:
            path.unlink(missing_ok=True)
        for one in created:
            with suppress(OSError):
                one.rmdir()
        raise
    return tuple(written)


def _missing(folder: Path) -> tuple[Diagnostic, ...]:
    """N0874 if the page lacks the files of its runtime."""
    if all((folder / "runtime" / name).is_file() for name in RUNTIME):
        return ()
    return (
        Diagnostic(
            "N0874",
            "the page needs two files of onnxruntime-web, which are not in the bundle",
            severity="note",
            help=f"`{folder / 'README.md'}` says how to get them; `--runtime DIR` copies them from the npm package",
        ),
    )
