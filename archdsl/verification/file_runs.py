"""Run an ONNX file unchanged, at several batch and input sizes, and compare its outputs with the float64 reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.backends.weights import Array
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from archdsl.runtime.inputs import input_text, seeded_inputs
from archdsl.runtime.model import read_facts
from archdsl.runtime.session import Session, Tuning, open_session, refused
from archdsl.shapes import numel
from archdsl.verification.compare import Overflow
from archdsl.verification.reference import Reference, reference_values
from archdsl.verification.tolerance import LARGEST, LEAST, Deviation

if TYPE_CHECKING:
    from torch import nn

MAX_COPIES = 4
"""The largest number of perturbed runs of the whole network, from which the tolerance of its outputs follows."""


class OutputDeviation(NamedTuple):
    """The output with the largest ratio of difference and tolerance, or the message of the run that failed."""

    output: str
    deviation: Deviation
    failure: str = ""

    @property
    def exceeded(self) -> bool:
        return bool(self.failure) or self.deviation.exceeded


class FileRun(NamedTuple):
    """A run of the whole network at one batch and input size: the worst output of the file and of the module.

    `outputs` has `onnx`, and `module` if the network's own weights are known; it is empty after an `overflow`.
    """

    batch: int
    input: str
    outputs: Mapping[str, OutputDeviation]
    overflow: Overflow | None = None

    @property
    def title(self) -> str:
        """Batch and input size: `2 x 3x32x32`."""
        return f"{self.batch} x {self.input}"

    @property
    def passed(self) -> bool:
        """Whether every output was compared and is within its tolerance."""
        return self.overflow is None and not any(output.exceeded for output in self.outputs.values())


@dataclass(frozen=True, slots=True)
class FileRuns:
    """What runs: an ONNX file, and the module of the same graph (None: only the file). `dtype` is that of the file,
    `absent` are the paths of nodes that it does not have: they cannot overflow. `content` replaces that of the file,
    which still has the external data."""

    path: Path
    graph: Graph
    weights: Mapping[str, Array]
    module: nn.Module | None
    seed: int = 0
    dtype: str = "float32"
    absent: tuple[str, ...] = ()
    content: bytes | None = None

    def run(self, batch: int = 1) -> tuple[FileRun, ...]:
        """Run the file in ONNX Runtime at its default optimisation level, and the module, and compare their outputs.

        There are three runs, as far as the file leaves batch and sizes free: the smallest, the default and the next
        larger size. Raises E0802 without ONNX Runtime.
        """
        try:
            session = open_session(
                self.content or self.path, "cpu", Tuning(data_folder=str(self.path.parent.resolve()))
            )
        except ArchError as problem:
            if problem.diagnostics[0].code != "E0805":
                raise
            return (FileRun(batch, self.graph.input_spec, {"onnx": _failed(problem)}),)
        return tuple(self._run(session, *sizes) for sizes in run_sizes(self.graph, session, batch))

    def _run(self, session: Session, batch: int, sizes: Mapping[str, int]) -> FileRun:
        inputs = seeded_inputs(self.graph, batch, self.seed, sizes)
        runs: dict[str, Callable[[], Sequence[Array]]] = {"onnx": lambda: _file_outputs(session, self, inputs)}
        if self.module is not None:
            runs["module"] = lambda: _module_outputs(self.module, self.graph, inputs)
        outputs: dict[str, OutputDeviation] = {}
        text = input_text(self.graph, sizes)
        references: dict[str, tuple[list[Reference], list[Overflow]]] = {}
        for name, run in runs.items():
            try:
                values = run()
            except (ArchError, RuntimeError) as problem:
                outputs[name] = _failed(problem)
                continue
            dtype = self.dtype if name == "onnx" else "float32"
            if dtype not in references:
                references[dtype] = self._references(inputs, dtype, sizes)
            right, overflows = references[dtype]
            overflows = [one for one in overflows if name != "onnx" or one.path not in self.absent]
            if overflows:
                return FileRun(batch, text, {}, overflows[0])
            outputs[name] = _worst(self.graph, values, right)
        return FileRun(batch, text, outputs)

    def _references(
        self, inputs: Mapping[str, Array], dtype: str, sizes: Mapping[str, int]
    ) -> tuple[list[Reference], list[Overflow]]:
        """The reference of each output, and the nodes whose values are too large."""
        numbers = list(self.graph.outputs.values())
        found: dict[int, Reference] = {}
        overflows: list[Overflow] = []
        for one in reference_values(
            self.graph, self.weights, inputs, dtype, self.seed, sizes=sizes, copies=copies_of(self.graph)
        ):
            if one.largest > LARGEST[dtype]:
                overflows.append(Overflow(one.node.path, one.largest, dtype))
            if one.node.id in numbers:
                found[one.node.id] = one
        return [found[number] for number in numbers], overflows


def copies_of(graph: Graph) -> int:
    """Return the number of perturbed runs: enough for LEAST values of the smallest output, because fewer are a small
    sample, but at most MAX_COPIES."""
    fewest = min(numel(graph.nodes[number].shape) for number in graph.outputs.values())
    return min(MAX_COPIES, -(-LEAST // fewest))


def run_sizes(graph: Graph, session: Session, batch: int) -> list[tuple[int, dict[str, int]]]:
    """Return batch and sizes of each run: the smallest legal ones, the default ones, and the next larger ones."""
    shapes = session.inputs.values()
    symbols = {axis for shape in shapes for axis in shape[1:]}
    free = [size for size in graph.sizes if size.name in symbols and not size.pinned]
    if not all(isinstance(shape[0], str) for shape in shapes):
        return [(batch, {size.name: size.default for size in graph.sizes})]
    default = {size.name: size.default for size in graph.sizes}
    runs = [
        (1, default | {size.name: size.minimum for size in free}),
        (batch, default),
        (batch + 1, default | {size.name: size.default + size.step for size in free}),
    ]
    return [run for number, run in enumerate(runs) if run not in runs[:number]]


def _file_outputs(session: Session, runs: FileRuns, inputs: Mapping[str, Array]) -> Sequence[Array]:
    try:
        values = session.run(inputs)
    except Exception as problem:
        raise refused(problem, runs.path) from None
    if read_facts(runs.path).has_class_maps:
        values = values[:-1]
    if len(values) != len(runs.graph.outputs):
        raise RuntimeError(f"it has {len(values)} outputs, not {len(runs.graph.outputs)}")
    return values


def _module_outputs(module: nn.Module | None, graph: Graph, inputs: Mapping[str, Array]) -> Sequence[Array]:
    import torch

    assert module is not None
    with torch.no_grad():
        result = module(*(torch.from_numpy(inputs[graph.nodes[i].path]) for i in graph.inputs))
    return [value.numpy() for value in ([result] if isinstance(result, torch.Tensor) else result)]


def _failed(problem: Exception) -> OutputDeviation:
    message = problem.diagnostics[0].message if isinstance(problem, ArchError) else str(problem)
    return OutputDeviation("", Deviation(float("inf"), 0.0, None), " ".join(message.split())[:400])


def _worst(graph: Graph, values: Sequence[Array], references: Sequence[Reference]) -> OutputDeviation:
    """The output with the largest ratio of difference and tolerance."""
    outputs = []
    for name, value, reference in zip(graph.outputs, values, references, strict=True):
        right = value.shape == reference.value.shape
        failure = "" if right else f"the output `{name}` has the shape {value.shape}, not {reference.value.shape}"
        outputs.append(OutputDeviation(name, reference.deviation(value), failure))
    return max(outputs, key=lambda output: output.deviation.difference / output.deviation.tolerance)
