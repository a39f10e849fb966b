"""Profile each node of a model in ONNX Runtime and compare its time with the machine's roofline.

The shortest possible time of a node is that of its multiply-accumulates at the machine's rate for large matrix
products, or that of its bytes at the rate for copying, whichever is longer (Williams, Waterman and Patterson 2009,
"Roofline"). Both rates are measured in ONNX Runtime with the same number of threads.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from archdsl.axes import axes_of
from archdsl.runtime.placement import node_events
from archdsl.runtime.session import Tuning, open_session
from archdsl.timing.task import Task
from archdsl.timing.torch_module import inputs

RUNS = 20
_FUSED = ("_nchwc", "_bn", "_fused")
"""Suffixes that ONNX Runtime's optimiser appends to the name of a fused node."""
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "ConvInteger", "MatMulInteger")
_GEMM = 1024
_COPY = 1 << 25


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine's measured rates: multiply-accumulates and bytes per second."""

    macs_s: float
    bytes_s: float


@dataclass(frozen=True, slots=True)
class NodeTime:
    """One node: its path, its op, its median time in milliseconds, and its work for the whole batch.

    `bytes` are those of its inputs, weights and outputs. `of_gemm` is its rate of multiply-accumulates as a share of
    the machine's, `of_roof` the shortest possible time as a share of its time.
    """

    path: str
    op: str
    ms: float
    macs: int
    bytes: int
    of_gemm: float
    of_roof: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The nodes of a network in execution order, on the CPU."""

    network: str
    batch: int
    machine: Machine
    nodes: tuple[NodeTime, ...]

    @property
    def ms(self) -> float:
        """The time of one run of the whole batch in milliseconds."""
        return sum(node.ms for node in self.nodes)


def profile(task: Task, runs: int = RUNS) -> Profile:
    """Profile the task's model on the CPU, as medians of `runs` runs. Raises E0805 if it cannot run."""
    machine = machine_rates(task.threads)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        session = open_session(
            Path(task.model), "cpu", Tuning(threads=task.threads, profile=str(Path(folder) / "profile"))
        )
        samples = dict(zip(session.inputs, inputs(task).values(), strict=True))
        for _ in range(runs + 2):
            session.run(samples)
        events = list(node_events(session.inference.end_profiling()))
    model = onnx.load(task.model, load_external_data=False)
    return Profile(task.network, task.batch, machine, tuple(_nodes(model, events, machine)))


def _nodes(model: onnx.ModelProto, events: Iterable[tuple[str, Mapping[str, Any]]], machine: Machine) -> list[NodeTime]:
    times: dict[str, list[float]] = defaultdict(list)
    facts: dict[str, Mapping[str, Any]] = {}
    for name, event in events:
        times[name].append(event["dur"] / 1000)
        facts[name] = event["args"]
    macs = _macs(model, facts)
    return [_node(name, facts[name], median(ms[2:] or ms), macs.get(name, 0), machine) for name, ms in times.items()]


def _node(name: str, facts: Mapping[str, Any], ms: float, macs: int, machine: Machine) -> NodeTime:
    moved = sum(_bytes(shape) for shape in (*facts["input_type_shape"], *facts["output_type_shape"]))
    roof_ms = 1000 * max(macs / machine.macs_s, moved / machine.bytes_s)
    positive_ms = max(ms, 1e-3)  # the resolution of the profile is a microsecond
    of_gemm = 1000 * macs / positive_ms / machine.macs_s
    return NodeTime(plain_name(name), facts["op_name"], ms, macs, moved, of_gemm, min(roof_ms / positive_ms, 1.0))


def _bytes(typed: Mapping[str, Sequence[int]]) -> int:
    ((kind, shape),) = typed.items()
    size = {"float": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "double": 8}.get(kind, 1)
    return size * prod(shape)


def plain_name(name: str) -> str:
    for suffix in _FUSED:
        name = name.removesuffix(suffix)
    return name


def _macs(model: onnx.ModelProto, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Multiply-accumulates by event. A fused node includes those of the nodes before it that it replaces."""
    by_name = {node.name: node for node in model.graph.node}
    producer = {out: node for node in model.graph.node for out in node.output}
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    timed = {plain_name(name) for name in facts}
    totals = {}
    for event, args in facts.items():
        stack = [by_name[name]] if (name := plain_name(event)) in by_name else []
        total = 0
        while stack:
            node = stack.pop()
            if node.op_type in _WEIGHTED:
                shape = next((weights[i] for i in node.input if len(weights.get(i, ())) > 1), ())
                total += prod(shape) * _uses_per_weight(node.op_type, args) if shape else 0
            stack += [p for i in node.input if (p := producer.get(i)) is not None and p.name not in timed]
        totals[event] = total
    return totals


def _uses_per_weight(op: str, args: Mapping[str, Any]) -> int:
    """Each weight is used once per sample and output pixel (input pixel for ConvTranspose)."""
    types = args["input_type_shape"] if op == "ConvTranspose" else args["output_type_shape"]
    ((_, shape),) = types[0].items()
    return int(shape[0] * prod(shape[2:])) if axes_of(shape[1:]) > 0 else int(prod(shape[:-1]))


# --- the rates of the machine ----------------------------------------------------------------------------


def run_clock(threads: int) -> Callable[[], float]:
    """The clock for runs: the CPU time of a single thread does not depend on other work of the machine."""
    return time.process_time if threads == 1 else time.perf_counter


def machine_rates(threads: int) -> Machine:
    square = np.ones((_GEMM, _GEMM), np.float32)
    gemm = _fastest("MatMul", [square, square], threads)
    copy = _fastest("Relu", [np.ones(_COPY, np.float32)], threads)
    return Machine(_GEMM**3 / gemm, 2 * 4 * _COPY / copy)


def _fastest(op: str, arrays: Sequence[np.ndarray[Any, Any]], threads: int) -> float:
    """The time of the fastest of several runs of one node, in seconds."""
    names = [f"x{n}" for n in range(len(arrays))]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in zip(names, arrays, strict=True)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, arrays[0].shape)]
    graph = helper.make_graph([helper.make_node(op, names, ["y"])], op, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = open_session(model.SerializeToString(), "cpu", Tuning(threads=threads))
    feed = dict(zip(names, arrays, strict=True))
    clock = run_clock(threads)
    best = float("inf")
    for _ in range(15):
        start = clock()
        session.run(feed)
        best = min(best, clock() - start)
    return best
