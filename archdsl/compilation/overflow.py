"""Do random weights overflow? A run of a compiled ONNX file in which every node is an output."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.backends.onnx import protobuf
from archdsl.backends.onnx.plan import Plan, plan
from archdsl.backends.onnx.write import free_memory
from archdsl.compilation.onnx_options import OnnxPrecision
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.graph import Graph, Node
from archdsl.shapes import concrete

if TYPE_CHECKING:
    from archdsl.backends.onnx.half_precision import Precision
    from archdsl.runtime.session import Session

MAX_MACS = 20_000_000_000
"""A network with more multiply-accumulates is not run: it would take longer than to write its file."""
_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
"""Field numbers of ModelProto, GraphProto and ValueInfoProto."""
_TYPES: Mapping[OnnxPrecision, str] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def overflow_warning(path: Path, graph: Graph, precision: Precision, free_sizes: bool) -> Diagnostic | None:
    """Return W0706 if a value of the ONNX file of a graph is infinite or NaN for a random input.

    The input is one sample of the smallest size that the file accepts. Returns None as well if the file cannot be run:
    without ONNX Runtime, with too many multiply-accumulates, or if memory is short.
    """
    planned = plan(graph, precision, value_info=False, free_sizes=free_sizes)
    sizes = {size.name: size.default for size in graph.sizes} | {size.name: size.minimum for size in planned.free}
    if find_spec("onnxruntime") is None or not _affordable(graph, sizes, path.stat().st_size):
        return None
    values = _values(graph, planned)
    public = {value.name for value in planned.outputs}
    session = _session_with_outputs(path, [name for name in values if name not in public])
    if session is None:
        return None
    infinite = _not_finite(session, graph, sizes)
    node = next((node for name, node in values.items() if name in infinite), None)
    if node is None:
        return None
    return Diagnostic(
        "W0706",
        f"with random weights, the values overflow {_TYPES[precision]} at `{node.path}`",
        node.origin.span,
        label="its values are infinite or NaN for a random input, and so are those of the nodes that read it",
        help="give trained weights: `--weights FILE`; `archdsl explain W0706` says how to get smaller random ones",
        severity="warning",
    )


def _affordable(graph: Graph, sizes: Mapping[str, int], file_size: int) -> bool:
    macs, values = 0, 0
    for node in graph.nodes:
        if not node.training:
            shapes, output = tuple(concrete(shape, sizes) for shape in node.in_shapes), concrete(node.shape, sizes)
            macs += node.op.macs(shapes, output) if node.inputs else 0
            values += prod(output)
    free = free_memory()
    return macs <= MAX_MACS and (free is None or 3 * (file_size + 4 * values) < free)


def _session_with_outputs(path: Path, names: list[str]) -> Session | None:
    """The file in ONNX Runtime with more outputs; None if it cannot be loaded.

    Protobuf merges messages that follow one another: a second model with a graph of outputs adds them to the first.
    """
    from archdsl.runtime.session import Tuning, open_session

    outputs = b"".join(protobuf.message(_GRAPH_OUTPUT, protobuf.message(_VALUE_NAME, name.encode())) for name in names)
    try:
        model = path.read_bytes() + protobuf.message(_MODEL_GRAPH, outputs)
        return open_session(model, "cpu", Tuning(data_folder=str(path.parent.resolve())))
    except (ArchError, MemoryError):
        return None


def _values(graph: Graph, planned: Plan) -> dict[str, Node]:
    """The nodes of the graph by the names of their values in the file, in order.

    Values inside the translation of one node are left out: a pad before a max pool is minus infinity.
    """
    values: dict[str, Node] = {}
    for node in planned.nodes:
        paths = node.outputs if node.op_type == "Split" else (node.name,)
        values |= {
            name: graph.by_path[path] for name, path in zip(node.outputs, paths, strict=True) if path in graph.by_path
        }
    return values


def _pixels() -> dict[str, Any]:
    """A random image for a file with its preprocessing inside."""
    import numpy as np

    from archdsl.runtime.embedded import INPUT

    return {INPUT: np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)}


def _not_finite(session: Session, graph: Graph, sizes: Mapping[str, int]) -> set[str]:
    """The outputs that have infinite or NaN values for one random sample; empty if the file cannot be run."""
    import numpy as np

    from archdsl.runtime.embedded import INPUT
    from archdsl.runtime.inputs import seeded_inputs

    try:
        outputs = session.run(seeded_inputs(graph, 1, sizes=sizes) if INPUT not in session.inputs else _pixels())
    except Exception:  # ONNX Runtime's own errors: a type that it cannot run on the CPU, or no memory
        return set()
    return {name for name, value in zip(session.outputs, outputs, strict=True) if not np.isfinite(value).all()}
