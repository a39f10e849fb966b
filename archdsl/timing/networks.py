"""Make the tasks of `bench` from specs, networks and compiled models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

from archdsl.backends.onnx.half_precision import Precision
from archdsl.diagnostics import Diagnostic, error
from archdsl.network import Network, as_network
from archdsl.progress import Watch, watched
from archdsl.runtime.model import check_runnable, check_unchanged, is_model, read_facts
from archdsl.runtime.session import open_session
from archdsl.shapes import concrete
from archdsl.timing.contestants import OURS
from archdsl.timing.task import Task

Source: TypeAlias = str | Path | Network
"""A SPEC, the path of a compiled model (`.onnx`), or a network."""

_MAX_VALUES = 1 << 26
"""Maximum values of one sample of a compiled model's input."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to build and run the networks: `args` and `input` as for `load`, `weights` as for `Network.weights`;
    `modules` if a contestant needs the PyTorch module."""

    args: Mapping[str, object]
    input: str | Sequence[int] | None
    weights: str | Path | Mapping[str, object] | None
    precision: Precision
    threads: int
    modules: bool


def check_source(source: Source, settings: Settings) -> None:
    """Raise E0003 if the source is a compiled model and a setting applies to specs only."""
    if isinstance(source, Network) or not is_model(source):
        return
    check_unchanged(
        source,
        weights=settings.weights is not None,
        precision=settings.precision != "fp32",
        args=bool(settings.args),
        against=settings.modules,
    )


def task_of(
    source: Source, settings: Settings, folder: Path, watch: Watch | None
) -> tuple[Task, tuple[Diagnostic, ...]]:
    """Return the task for one sample on the CPU, and notes on the weights; its files are written to `folder`.

    Raises E0805 or E0806 for a compiled model that cannot be timed, and the errors of `load`, `Network.weights` and
    `Network.to_onnx` for a spec.
    """
    if not isinstance(source, Network) and is_model(source):
        return _of_model(source, settings), ()
    return _of_network(as_network(source, settings.args, settings.input), settings, folder, watch)


def _of_model(path: str | Path, settings: Settings) -> Task:
    facts = read_facts(path)
    check_runnable(path)
    if facts.embedded:
        message = f"`{facts.path.name}` has its preprocessing inside, and `bench` times networks"
        raise error("E0806", message, help="compile it without `embed_preprocess`")
    session = open_session(facts.path, "cpu")
    shapes = {name: _fixed(facts.path, shape, settings.input) for name, shape in session.inputs.items()}
    return Task(OURS, str(facts.path), "", "", shapes, threads=settings.threads, network=facts.path.name)


def _of_network(
    network: Network, settings: Settings, folder: Path, watch: Watch | None
) -> tuple[Task, tuple[Diagnostic, ...]]:
    from archdsl.backends.spec.rewrite import standalone_text
    from archdsl.backends.weights.safetensors import save

    values = network.weights(settings.weights)
    model, spec, weights = folder / "model.onnx", folder / "spec.yaml", folder / "weights.safetensors"
    progress = watched(watch, f"compiling {network.name}")
    network.to_onnx(model, values, precision=settings.precision, progress=progress)
    if settings.modules:
        spec.write_text(standalone_text(network.document, network.args), encoding="utf-8")
        save(values, weights)
    inputs = [network.graph.nodes[i] for i in network.graph.inputs]
    task = Task(
        OURS,
        str(model),
        str(spec),
        str(weights),
        {node.path: concrete(node.shape) for node in inputs},
        threads=settings.threads,
        half=settings.precision != "fp32",
        network=network.name,
    )
    return task, values.notes


def _fixed(path: Path, shape: Sequence[int | str | None], input: str | Sequence[int] | None) -> tuple[int, ...]:
    """The shape of a model's input without the batch axis, with the free sizes set by `input`.

    Raises E0806 if `input` does not fit, or is missing.
    """
    shown = " x ".join(str(size or "?") for size in shape[1:])
    if input is None:
        size, words = "", [str(known) for known in shape[1:]]
    else:
        size = input if isinstance(input, str) else "x".join(map(str, input))
        words = size.split("x")
    if len(words) != len(shape) - 1 or not all(map(_is_size, words)):
        message = (
            f"`input` {size} does not fit {shown}, the input of `{path.name}`"
            if size
            else f"the input of `{path.name}`, {shown}, has free sizes"
        )
        raise error("E0806", message, help="set them with `input`: 3x224x224")
    fixed = tuple(map(int, words))
    if any(isinstance(known, int) and known != new for known, new in zip(shape[1:], fixed, strict=True)):
        raise error("E0806", f"`input` {size} does not fit {shown}, the input of `{path.name}`")
    if prod(fixed) > _MAX_VALUES:
        raise error("E0806", f"the input of `{path.name}` has {prod(fixed):,} values; the maximum is {_MAX_VALUES:,}")
    return fixed


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 11 and 0 < int(word) < 2**31
