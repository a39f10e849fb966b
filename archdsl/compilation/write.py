"""Writes the files of each target, and removes them if a later target fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from archdsl.backends.onnx.plan import Plan
from archdsl.backends.onnx.write import WrittenModel, write
from archdsl.backends.weights import Array, TensorEntry, Weights
from archdsl.compilation.onnx_options import AnyPath, OnnxOptions, OnnxPrecision
from archdsl.compilation.targets import TARGETS, TargetName
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_callables, check_flags, check_paths
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark
from archdsl.graph import Graph
from archdsl.progress import Progress, Watch

if TYPE_CHECKING:
    from archdsl.runtime.quantise import Difference


class Compilable(Protocol):
    """The properties of a network that a compilation uses."""

    @property
    def name(self) -> str: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def starts_at_random(self) -> bool: ...
    @property
    def notes(self) -> tuple[Diagnostic, ...]: ...
    def metadata(self) -> dict[str, str]: ...
    def to_source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CompiledModel(WrittenModel):
    """An ONNX file. `difference` is that between int8 and fp32, None for any other precision."""

    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class CompiledFile(WrittenFile):
    """One file of a compiled network."""

    target: TargetName


@dataclass(frozen=True, slots=True)
class Compiled:
    """The files of a compiled network.

    `weights` is the source of the weights, None if no file stores any; `random` is True if they are random.
    `difference` is that between int8 and fp32. `notes` are those of the network, of the weights and of the files.
    """

    name: str
    fingerprint: str
    files: tuple[CompiledFile, ...]
    weights: str | None
    random: bool
    precision: OnnxPrecision
    difference: Difference | None
    notes: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Compilation:
    """The inputs of a compilation: a network, its weights (None if no target stores them), and options."""

    network: Compilable
    weights: Weights | None
    onnx: OnnxOptions
    inputs: tuple[AnyPath, ...] = ()
    """Files that the compilation reads, which no target may replace."""
    force: bool = False
    watch: Watch | None = None

    def __post_init__(self) -> None:
        check_flags(force=self.force)
        check_callables(progress=self.watch)

    def progress(self, work: str) -> Progress | None:
        """The function to call as `work` proceeds; None without `watch`."""
        return None if self.watch is None else self.watch(work)

    def metadata(self) -> dict[str, str]:
        """The metadata of the network, and what comes with the weights."""
        return {**self.network.metadata(), **(self.weights.facts if self.weights is not None else {})}

    @property
    def stored(self) -> Weights:
        """The weights, for a target that stores them."""
        assert self.weights is not None, "a target that stores weights has them"
        return self.weights


@dataclass(frozen=True, slots=True)
class TargetFiles:
    """The files of one target, with their notes."""

    files: tuple[WrittenFile, ...]
    notes: tuple[Diagnostic, ...] = ()
    difference: Difference | None = None


def compile_network(work: Compilation, paths: Mapping[TargetName, Path]) -> Compiled:
    """Write the files of each target. Files that this call created are removed if a later target fails.

    Raises E07xx for a path that cannot be written, before any file is; E0603 to E0705 as the targets do.
    """
    for target, path in paths.items():
        check_target(path, inputs=work.inputs, force=work.force, replaceable=has_mark(target))
    fresh = [path for path in paths.values() if not os.path.lexists(path)]
    written: dict[TargetName, TargetFiles] = {}
    try:
        for target, path in paths.items():
            written[target] = _writer(target)(work, path)
    except BaseException:
        for file in (file for row in written.values() for file in row.files if row.files[0].path in fresh):
            with suppress(OSError):
                file.path.unlink()
        raise
    return _compiled(work, written)


def _writer(target: TargetName) -> Callable[[Compilation, Path], TargetFiles]:
    module, _, function = TARGETS[target].writer.partition(":")
    writer: Callable[[Compilation, Path], TargetFiles] = getattr(import_module(module), function)
    return writer


def _compiled(work: Compilation, written: Mapping[TargetName, TargetFiles]) -> Compiled:
    network, weights = work.network, work.weights
    random = weights is not None and weights.source.startswith("random") and network.starts_at_random
    source = None if weights is None else weights.source
    if weights is not None and not random:
        source = network.metadata().get("weights") or source
    notes = [*network.notes, *(weights.notes if weights is not None else ())]
    return Compiled(
        network.name,
        network.fingerprint,
        tuple(CompiledFile(file.path, file.size, target) for target, row in written.items() for file in row.files),
        source,
        random,
        work.onnx.precision,
        next((row.difference for row in written.values() if row.difference is not None), None),
        (*notes, *(note for row in written.values() for note in row.notes)),
    )


def paths_of(network: str, targets: Sequence[TargetName], output: AnyPath | None) -> dict[TargetName, Path]:
    """Return the path of each target: `output` for one target; for several NAME with the target's suffix in the folder
    `output`, by default the current one."""
    check_paths(output=output)
    if output is not None and len(targets) == 1:
        return {targets[0]: Path(output)}
    return {target: Path(output or "") / f"{network}{TARGETS[target].suffix}" for target in targets}


# --- one function for each target ------------------------------------------------------------------------


def write_source(work: Compilation, path: Path) -> TargetFiles:
    """Write PyTorch source. Raises E0701 to E0704 as `atomic_write`."""
    with atomic_write(path, inputs=work.inputs, force=work.force, replaceable=has_mark("torch")) as file:
        file.write(work.network.to_source().encode())
    assert file.written is not None
    return TargetFiles((file.written,))


def write_weights(work: Compilation, path: Path) -> TargetFiles:
    """Write a safetensors file. Raises E0701 to E0704 as `atomic_write`."""
    from archdsl.backends.weights import save

    weights = _watched(work.stored, work.progress(f"writing {path.name}"))
    return TargetFiles((save(weights, path, work.metadata(), inputs=work.inputs, force=work.force),))


def write_onnx(work: Compilation, path: Path) -> TargetFiles:
    """Write an ONNX file, and that of its external data; its notes include W0706 if random weights overflow.

    Raises E0603, E0701 to E0705; for int8 E0804 to E0806.
    """
    model = compile_onnx(work, path)
    warning = _overflow_warning(work, path)
    notes = model.notes if warning is None else (*model.notes, warning)
    return TargetFiles((model, *([model.data] if model.data is not None else [])), notes, model.difference)


def _overflow_warning(work: Compilation, path: Path) -> Diagnostic | None:
    from archdsl.compilation.overflow import overflow_warning
    from archdsl.passes.optimise import optimise

    precision, options = work.onnx.precision, work.onnx
    if precision == "int8" or not (work.stored.source.startswith("random") and work.network.starts_at_random):
        return None
    return overflow_warning(path, optimise(work.network.graph, options.passes), precision, _free_sizes(work))


def _free_sizes(work: Compilation) -> bool:
    return work.network.classes is None if work.onnx.free_sizes is None else work.onnx.free_sizes


def compile_onnx(work: Compilation, path: Path) -> CompiledModel:
    """Write an ONNX file as `write_onnx` does, and return it with its notes and int8 difference."""
    if work.onnx.precision == "int8":
        return _write_int8(work, path)
    return _write_float(work, path, work.onnx.precision, work.progress(f"writing {path.name}"))


def _write_float(
    work: Compilation, path: Path, precision: OnnxPrecision, progress: Progress | None = None
) -> CompiledModel:
    from archdsl.backends.weights import folded
    from archdsl.passes.class_maps import with_class_maps
    from archdsl.passes.optimise import optimise

    assert precision != "int8"
    network, options = work.network, work.onnx
    graph, meta = network.graph, work.metadata()
    if options.cam:
        graph, meta["cam"] = with_class_maps(graph)
    graph = optimise(graph, options.passes)
    if options.passes:
        meta["passes"] = " ".join(options.passes)
    front = _preprocessing(network, meta) if options.embed_preprocess else None
    model = write(
        graph,
        work.stored if graph is network.graph else folded(work.stored, graph),
        path,
        meta=meta,
        precision=precision,
        value_info=options.value_info,
        free_sizes=_free_sizes(work),
        external_data=options.external_data,
        opset=options.opset,
        front=front,
        inputs=work.inputs,
        force=work.force,
        progress=progress,
    )
    pinned = _pinned_notes(network.graph) if options.free_sizes else ()
    return CompiledModel(model.path, model.size, model.data, (*pinned, *model.notes))


def _preprocessing(network: Compilable, meta: dict[str, str]) -> Callable[[Plan], Plan]:
    """The function that embeds the preprocessing, whose recipe gets another key of `meta`. Raises E0871."""
    from archdsl.compilation.embed import checked_recipe, embedded
    from archdsl.runtime.model import EMBEDDED

    recipe = checked_recipe(network.graph, meta.pop("preprocess", None))
    meta[EMBEDDED] = recipe.to_json()
    return lambda planned: embedded(planned, recipe)


def _pinned_notes(graph: Graph) -> tuple[Diagnostic, ...]:
    """N0701 for each size that the network itself fixes, if the caller asked for free sizes."""
    return tuple(
        Diagnostic(
            "N0701",
            f"{size.name} is fixed at {size.default} in the ONNX file",
            notes=(f"the network has this size only: {size.pinned}",),
            severity="note",
        )
        for size in graph.sizes
        if size.pinned
    )


def _write_int8(work: Compilation, path: Path) -> CompiledModel:
    """Write a temporary float32 file and quantise it."""
    from archdsl.runtime.quantise import quantise

    check_target(path, inputs=work.inputs, force=work.force, replaceable=has_mark("onnx"))
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        single = replace(work, inputs=(), onnx=replace(work.onnx, external_data=False))
        model = _write_float(single, Path(folder) / path.name, "fp32")
        progress = work.progress(f"calibrating on {len(work.onnx.images)} samples")
        quantised = quantise(
            model.path, work.onnx.images, path, inputs=work.inputs, force=work.force, progress=progress
        )
    return CompiledModel(quantised.path, quantised.size, None, (*model.notes, *quantised.notes), quantised.difference)


def _watched(weights: Weights, progress: Progress | None) -> Weights:
    """The weights; reading them calls `progress`."""
    if progress is None:
        return weights
    finished = 0

    def make(entry: TensorEntry) -> Array:
        nonlocal finished
        array = entry.make()
        finished += entry.nbytes
        progress(finished, weights.nbytes)
        return array

    entries = {key: TensorEntry(e.shape, e.dtype, partial(make, e)) for key, e in weights.entries.items()}
    return Weights(entries, lambda: weights.source, weights.notes, weights.facts)
