"""The check of an import: the model and its spec run on the same random inputs, and all outputs are compared.

Outputs are compared as `verify` compares them (`verification/tolerance.py`): the largest difference in each channel,
relative to the largest value of that channel. The spec runs again with each of its tensors changed by the rounding
error of its op, ``sqrt(n) * u`` for sums of n terms; the change of the outputs is the effect of rounding at this depth.
The tolerance is SAFETY times the sum of this change and of the largest rounding error of any op.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf, isinf
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from archdsl.analysis.count import count
from archdsl.backends.weights import Weights
from archdsl.backends.weights.tensors import TensorEntry
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.frontends.onnx_model import Array
from archdsl.frontends.runs import Run
from archdsl.graph import Graph, Node
from archdsl.runtime.inputs import input_text, seeded_inputs
from archdsl.shapes import numel
from archdsl.verification.tolerance import (
    LEAST,
    ROUNDOFF,
    Deviation,
    channel_differences,
    error_size,
    steady_spread,
    worst_channel,
)

SAFETY = 4.0
"""Two networks that compute the same may add in another order, and one run is one sample of rounding errors."""
BATCH = 3
_LARGE = 20_000_000_000
"""A network with more MACs than this runs at the next larger size only."""
_VAGUE = 0.05
"""If rounding alone may change the outputs by this much, equal outputs show nothing."""
_PIECE = 1 << 27
"""Values of nodes that are compared together: 512 MiB in float32."""
_SCALES: Sequence[Callable[[Array], Array]] = (np.asarray, lambda x: x / 100, lambda x: np.abs(x) + 1)
"""Inputs that are tried in order, until the model's own outputs are finite: small ones, positive ones."""

T = TypeVar("T")
SpecRun: TypeAlias = Callable[[Mapping[str, Array]], Run]
"""Returns a run of the spec with these weights."""
_RUNTIME = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S*\.cc:\d+ .*\) ")
"""What ONNX Runtime adds to a reason: its codes, and the function of its own that failed."""
ISSUES = "https://github.com/archdsl/archdsl/issues"


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """How an import was checked.

    `sizes` are the inputs at which all outputs were compared: `1 x 3x224x224`. `difference` is the largest difference
    of an output, relative to the largest value of its channel; `tolerance` is what rounding explains. `other` is a size
    at which the outputs of a module differ, or at which the model does not run because of `failure`. `reason` states
    why nothing was compared; it is empty if it was.
    """

    sizes: tuple[str, ...] = ()
    difference: float = 0.0
    tolerance: float = 0.0
    other: str = ""
    failure: str = ""
    reason: str = ""

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """W0849 if the outputs were not compared, or are equal at one size only."""
        message = f"outputs not compared: {self.reason}"
        help = "compare the spec with the model on your own data before you use it"
        if self.other:
            message = f"the outputs are equal at {self.sizes[0]}, but differ at {self.other}: the model fixes a size"
            if self.failure:
                message = f"compared at {self.sizes[0]} only: the model does not run at {self.other}: {self.failure}"
            help = "use the spec at this size only, or import the model with another `input`"
        return (Diagnostic("W0849", message, severity="warning", help=help),) if self.reason or self.other else ()


class Uncompared(Exception):
    """The outputs cannot be compared; the message is the reason."""


class Subject(NamedTuple):
    """What is compared: `model`, the imported network, and the spec with the model's weights.

    `batch` is that of the model's file, None if it is free; `free`: the model takes other sizes too, and if `declared`
    it states so itself. `dtype` is the type that the model computes in. `title` describes a node of the spec as the
    model names it.
    """

    model: Run
    spec: SpecRun
    graph: Graph
    weights: Weights
    batch: int | None
    free: bool
    declared: bool
    dtype: str
    title: Callable[[str], str]


class _Case(NamedTuple):
    """Inputs of one batch and size, described by `text` and `axes`, and the model's outputs for them."""

    text: str
    axes: Mapping[str, int]
    inputs: Sequence[Array]
    expected: Sequence[Array]


def check(subject: Subject) -> OutputCheck:
    """Compare all outputs, at two batches and sizes if the model leaves them free.

    Raises E0848 if they differ, and `Uncompared` if the model or its spec cannot be run.
    """
    cases, other, failure = _cases(subject)
    copies = 1 if min(numel(subject.graph.nodes[i].shape) for i in subject.graph.outputs.values()) >= LEAST else 3
    weights = (subject.weights, *(_perturbed(subject, seed) for seed in range(copies)))
    results = [_spec_outputs(subject, one, cases) for one in weights]
    sizes: list[str] = []
    worst = Deviation(0.0, 0.0, None)
    for number, case in enumerate(cases):
        deviations = _output_deviations(subject, case, [outputs[number] for outputs in results])
        name, deviation = max(deviations, key=lambda one: one[1].difference / max(one[1].tolerance, 1e-30))
        if deviation.exceeded:
            if sizes and not subject.declared:
                return OutputCheck(tuple(sizes), worst.difference, worst.tolerance, other=case.text)
            raise _different(subject, case, name, deviation)
        worst = max(worst, deviation, key=lambda one: one[:2])
        sizes.append(case.text)
    return OutputCheck(tuple(sizes), worst.difference, worst.tolerance, other, failure)


def _cases(subject: Subject) -> tuple[list[_Case], str, str]:
    """The runs of the model, and the inputs for which it does not run, with the reason, if these are not the first.

    Raises `Uncompared` if it gives no finite outputs for the first.
    """
    cases: list[_Case] = []
    for batch, axes in _run_sizes(subject):
        text = f"{batch} x {input_text(subject.graph, axes)}"
        try:
            cases.append(_Case(text, axes, *_finite_run(subject, batch, axes)))
        except Uncompared as problem:
            if not cases:
                raise
            return cases, text, str(problem)
    return cases, "", ""


def _spec_outputs(subject: Subject, weights: Weights, cases: Sequence[_Case]) -> list[list[Array] | Uncompared]:
    """The outputs of the spec with these weights, or why there are none, for each case. The spec with its weights is in
    memory meanwhile, so only one is at a time. Raises `Uncompared` if it cannot be built."""
    run = _tried(partial(subject.spec, weights))
    results: list[list[Array] | Uncompared] = []
    for case in cases:
        try:
            results.append(_tried(partial(run.outputs, case.inputs)))
        except Uncompared as problem:
            results.append(problem)
    return results


def uncompared(problem: Exception) -> Uncompared:
    """The reason of a failed run, in one line."""
    if isinstance(problem, Uncompared):
        return problem
    if isinstance(problem, MemoryError):
        return Uncompared("a run needs more memory than the limit")
    text = problem.diagnostics[0].message if isinstance(problem, ArchError) else str(problem)
    text = " ".join((text or type(problem).__name__).split())
    return Uncompared(_RUNTIME.sub("", text)[:300])


def _tried(make: Callable[[], T]) -> T:
    try:
        return make()
    except Exception as problem:  # each runtime raises exceptions of its own
        raise uncompared(problem) from None


def _run_sizes(subject: Subject) -> list[tuple[int, dict[str, int]]]:
    """Batch and free sizes of each run: the default ones, and if the model leaves them free, others.

    The first batch is neither 1 nor that of a trace. The other sizes are larger by a half, and the last one by a whole:
    far enough to tell `size // 8` from a number, and unequal, as axes that are mixed up give equal outputs on squares.
    Of a large network they are the next larger ones.
    """
    default = {size.name: size.default for size in subject.graph.sizes}
    free = [size for size in subject.graph.sizes if subject.free and not size.pinned]
    large = count(subject.graph).macs > _LARGE
    larger = dict(default)
    for number, size in enumerate(free):
        part = size.default if number == len(free) - 1 else size.default / 2
        steps = max(1, round(part / size.step)) if not large else number + 1
        larger[size.name] += size.step * steps
        while larger[size.name] in (larger[other.name] for other in free[:number]):
            larger[size.name] += size.step
    runs = [(subject.batch or BATCH, default), (subject.batch or 1, larger)]
    return runs[:1] if runs[0] == runs[1] else runs


def _finite_run(subject: Subject, batch: int, axes: Mapping[str, int]) -> tuple[list[Array], list[Array]]:
    """Inputs for which the model's outputs are finite, and these outputs. Raises `Uncompared` if there are none."""
    drawn = [*seeded_inputs(subject.graph, batch, 0, axes).values()]
    for scaled in _SCALES:
        inputs = [scaled(value).astype(np.float32) for value in drawn]
        outputs = _tried(partial(subject.model.outputs, inputs))
        if all(np.isfinite(output).all() for output in outputs):
            return inputs, outputs
    raise Uncompared("the model's own outputs are not finite for random inputs of any scale")


def _output_deviations(
    subject: Subject, case: _Case, results: Sequence[list[Array] | Uncompared]
) -> list[tuple[str, Deviation]]:
    """The deviation of each output; `results` are those of the spec, and with perturbed weights.

    Raises E0848 if the model has another number of outputs, `Uncompared` if rounding hides any difference.
    """
    names, expected = list(subject.graph.outputs), case.expected
    outputs: list[list[Array]] = []
    for result in results:
        if isinstance(result, Uncompared):
            raise result
        outputs.append(result)
    if len(expected) != len(names):
        raise different(f"the model has {len(expected)} outputs, the spec {len(names)}")
    deviations = [
        (name, _deviation(subject, model, value, changed, case.axes))
        for name, model, value, *changed in zip(names, expected, *outputs, strict=True)
    ]
    vague = max(deviation.tolerance for _, deviation in deviations)
    if vague > _VAGUE and not any(deviation.exceeded for _, deviation in deviations):
        raise Uncompared(f"rounding alone changes them by {vague:.1e} of their largest value")
    return deviations


def _deviation(
    subject: Subject, model: Array, value: Array, changed: Sequence[Array], axes: Mapping[str, int]
) -> Deviation:
    """The channel of the spec's `value` that differs most from the model's, relative to its tolerance."""
    spread = np.maximum.reduce([channel_differences(other, value) for other in changed])
    own = max(_error_size(subject, node, axes) for node in subject.graph.running)
    if model.shape != value.shape:
        return Deviation(inf, SAFETY * own, None)
    return worst_channel(channel_differences(model, value), SAFETY * (steady_spread(spread, value) + own))


def _error_size(subject: Subject, node: Node, axes: Mapping[str, int] | None = None) -> float:
    """The relative rounding error of a node; in half precision sums are of float32, and only the result is rounded."""
    size = error_size(node, "float32", axes)
    return size if subject.dtype == "float32" else max(size, ROUNDOFF[subject.dtype])


def _perturbed(subject: Subject, seed: int) -> Weights:
    """The weights, each changed by the rounding error of its op with random signs; computed on access."""
    entries = dict(subject.weights.entries)
    for number, (key, _, node) in enumerate(subject.graph.tensors):
        if key in entries and entries[key].dtype == "float32":
            make = partial(_changed, entries[key].make, _error_size(subject, node), [seed, number])
            entries[key] = TensorEntry(entries[key].shape, "float32", make)
    return Weights(entries, "perturbed")


def _changed(make: Callable[[], Array], size: float, seed: Sequence[int]) -> Array:
    array = make()
    signs = np.random.default_rng(seed).integers(0, 2, array.shape, np.int8) * 2 - 1
    return (array * (1 + signs * np.float32(size))).astype(np.float32)


# --- the error -----------------------------------------------------------------------------------------------


def _different(subject: Subject, case: _Case, output: str, deviation: Deviation) -> ArchError:
    """E0848 with the first node that differs."""
    first = None
    with suppress(Exception):  # the values of some nodes may not be available
        first = _first_different(subject, case.inputs)
    where = f"the output `{output}`" if first is None else f"first at {subject.title(first[0])}"
    details = "" if first is None else f", by {_share(first[1])}; the output `{output}`"
    return different(
        f"the spec computes something else than the model, {where}{details} differs by {_share(deviation)}",
        notes=(f"at {case.text}; rounding explains {deviation.tolerance:.1e}",),
    )


def _share(deviation: Deviation) -> str:
    return "its shape" if isinf(deviation.difference) else f"{deviation.difference:.1e} of its largest value"


def different(message: str, notes: tuple[str, ...] = ()) -> ArchError:
    """E0848 for a spec that is not the network of the model."""
    help = (
        f"unless the model depends on its batch, this is a bug in archdsl: please report it with the model at {ISSUES}"
    )
    return error("E0848", message, notes=notes, help=help)


def _first_different(subject: Subject, inputs: Sequence[Array]) -> tuple[str, Deviation] | None:
    """The first node, in the order of the spec, whose value differs."""
    spec, perturbed = (subject.spec(weights) for weights in (subject.weights, _perturbed(subject, 0)))
    for paths in _pieces(subject.graph, len(inputs[0])):
        model = subject.model.values(inputs, paths)
        values, changed = (run.values(inputs, model) for run in (spec, perturbed))
        for path in paths:
            if path in model and path in values:
                forms = _forms(model[path], values[path])
                deviations = [_deviation(subject, form, values[path], [changed[path]], {}) for form in forms]
                least = min(deviations, key=lambda one: one.difference, default=None)
                if least is not None and least.exceeded:
                    return path, least
    return None


def _forms(model: Array, value: Array) -> list[Array]:
    """A value of the model as it is, and with its last axis as the channels, which one has the shape of the spec's.

    The value alone if it has another number of elements; none if it has its elements in another layout.
    """
    forms = [model, np.moveaxis(model, -1, 1)] if model.shape[1:] else [model]
    return [form for form in forms if form.shape == value.shape] or [model] * (model.size != value.size)


def _pieces(graph: Graph, batch: int) -> Iterator[list[str]]:
    """The paths of the nodes in order, in lists of at most _PIECE values."""
    piece: list[str] = []
    size = 0
    for node in graph.running:
        if node.id in graph.inputs:
            continue
        if piece and size + batch * numel(node.shape) > _PIECE:
            yield piece
            piece, size = [], 0
        piece.append(node.path)
        size += batch * numel(node.shape)
    yield piece
