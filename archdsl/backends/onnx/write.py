"""Write the ONNX file directly from the graph: first the header, then tensor after tensor.

Everything but the tensors is known before the first one is computed. Their bytes follow one after the other (fields may
be in any order), so at most one tensor is in memory at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.backends.onnx import absorbed, encode, protobuf
from archdsl.backends.onnx.external import model_files
from archdsl.backends.onnx.half_precision import ONNX_TYPES, Precision
from archdsl.backends.onnx.numbers import Numbers
from archdsl.backends.onnx.opsets import checked_opset, ir_version
from archdsl.backends.onnx.plan import Plan, plan
from archdsl.backends.onnx.records import Constant, Initializer, nbytes
from archdsl.backends.weights import Array
from archdsl.backends.weights.safetensors import bytes_of
from archdsl.diagnostics import Diagnostic, error
from archdsl.files.atomic import OutputFile, WrittenFile, atomic_write, check_target, directory_lock, require_space
from archdsl.files.disk import BLOCK
from archdsl.files.overwrite_marks import DATA_MARK, has_mark
from archdsl.graph import Graph
from archdsl.version import __version__

if TYPE_CHECKING:
    import onnx

    from archdsl.progress import Progress

MAX_FILE = 2**31 - 1 - 2**24
"""Protobuf cannot read a message of 2 GiB; some megabytes are reserved for the nodes."""
INLINE = 1024
"""Initializers up to this many bytes stay in the model even if the others are in a data file."""
ALIGNMENT = 4096
_MAGIC = DATA_MARK.ljust(ALIGNMENT, b"\0")
_REPLACEABLE, _REPLACEABLE_DATA = has_mark("onnx"), has_mark("onnx data")


@dataclass(frozen=True, slots=True)
class WrittenModel(WrittenFile):
    """The model's file, its external data file if there is one, and notes about it."""

    data: WrittenFile | None
    notes: tuple[Diagnostic, ...]


def build(
    graph: Graph,
    weights: Mapping[str, Array],
    *,
    meta: Mapping[str, str] | None = None,
    precision: Precision = "fp32",
    value_info: bool = False,
    free_sizes: bool = True,
    opset: int | None = None,
) -> onnx.ModelProto:
    """Return the model in memory, with its weights.

    `value_info` adds the shapes of all values; without `free_sizes` height and width are fixed; `opset` as in `write`.
    Raises E0705 if the model is too large for memory or for a message.
    """
    import onnx

    planned = plan(graph, precision, value_info, free_sizes, checked_opset(opset, precision))
    if planned.nbytes > MAX_FILE:
        raise error(
            "E0705",
            f"`{graph.name}` needs {planned.nbytes:,} bytes; a model in memory can have at most {MAX_FILE:,}",
            status=2,
            help="write it to a file with external data",
        )
    _require_memory(graph, planned)
    pieces = b"".join(
        _stream(graph, planned, Numbers(graph.name, weights), _head(graph, weights, meta or {}, planned), None)
    )
    model: onnx.ModelProto = onnx.ModelProto.FromString(pieces)
    return model


def write(
    graph: Graph,
    weights: Mapping[str, Array],
    path: str | os.PathLike[str],
    *,
    meta: Mapping[str, str] | None = None,
    precision: Precision = "fp32",
    value_info: bool = False,
    free_sizes: bool = True,
    external_data: bool | None = None,
    opset: int | None = None,
    front: Callable[[Plan], Plan] | None = None,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> WrittenModel:
    """Write the network for inference. Shapes and the position of the weights are decided before any allocation.

    `meta` goes into the file's metadata (`spec_sha256`, and as JSON `paper`, `preprocess`, `labels`). The weights are
    inside the file unless it would exceed 2 GB or `external_data` is set: then they are in `<path>.data` beside it
    (`<path>.2.data` if the model that is replaced uses that name). Half precision (`types`) rounds each value once;
    W0717 reports values too large for it. With `value_info` the file states the shape of every value, which viewers
    show. Without `free_sizes` height and width are fixed. `opset` is the version of ONNX's ops, from 13; the IR version
    is that of its release. `front` adds nodes before the network's input.

    Raises E0870 if the opset cannot express the network, E0705 if the disk or the memory is too small, E0603 if the
    weights do not fit the graph, E0701 to E0704 as `archdsl.files.atomic_write` does.
    """
    planned = plan(graph, precision, value_info, free_sizes, checked_opset(opset, precision))
    planned = planned if front is None else front(planned)
    target = check_target(path, inputs=inputs, force=force, replaceable=_REPLACEABLE)
    external = planned.nbytes > MAX_FILE if external_data is None else external_data
    if not external and planned.nbytes > MAX_FILE:
        raise error(
            "E0705",
            f"`{graph.name}` needs {planned.nbytes:,} bytes; one ONNX file can have at most {MAX_FILE:,}",
            status=2,
            help="write the weights to a separate file",
        )
    require_space(target, planned.nbytes, "E0705", graph.name)
    _require_memory(graph, planned)
    head = _head(graph, weights, meta or {}, planned)
    count, numbers = _Counter(planned.nbytes, progress), Numbers(graph.name, weights)
    sources = [*inputs]
    with atomic_write(target, inputs=sources, force=force, replaceable=_REPLACEABLE) as model:
        if external:
            data = _write_outside(model, planned, sources, force, (graph, numbers, head, count))
        else:
            for piece in _stream(graph, planned, numbers, head, None):
                count(model.write(piece))
    assert model.written is not None
    written = model.written
    return WrittenModel(
        written.path, written.size, data if external else None, (*planned.notes, *_notes(numbers, planned))
    )


def _notes(numbers: Numbers, planned: Plan) -> tuple[Diagnostic, ...]:
    """Return the notes about half precision: which runtimes accept it, and which values did not fit."""
    notes = []
    if planned.precision == "bf16":
        notes.append(
            Diagnostic(
                "N0718",
                "ONNX Runtime has no bfloat16 kernels for the CPU: the file is for accelerators",
                severity="note",
            )
        )
    if numbers.beyond:
        more = f" and {len(numbers.beyond) - 1} more" if len(numbers.beyond) > 1 else ""
        message = f"`{numbers.beyond[0]}`{more} has values too large for {planned.precision}: they became infinite"
        notes.append(Diagnostic("W0717", message, severity="warning"))
    return tuple(notes)


def _write_outside(
    model: OutputFile,
    planned: Plan,
    inputs: Iterable[str | os.PathLike[str]],
    force: bool,
    work: tuple[Graph, Numbers, bytes, _Counter],
) -> WrittenFile | None:
    """Write the weights to a file beside the model, then the model, which names that file.

    The old model keeps its data until the new one has replaced it: a model never exists without its weights. So the
    data file has two possible names, of which the old model uses one.
    """
    graph, numbers, head, count = work
    target = model.target
    names = [target.with_name(f"{target.name}{ending}") for ending in (".data", ".2.data")]
    with atomic_write(names[0], inputs=inputs, force=force, replaceable=_REPLACEABLE_DATA) as data:
        _write_data(_DataLayout.of(planned, ""), numbers, data, count)
        with directory_lock(target.parent):
            used = names[0] in model_files(target)
            data.target = check_target(names[used], inputs=inputs, force=force, replaceable=_REPLACEABLE_DATA)
            for piece in _stream(graph, planned, numbers, head, _DataLayout.of(planned, data.target.name)):
                count(model.write(piece))
            data.commit()
            model.commit()
            if _REPLACEABLE_DATA(names[not used]):
                names[not used].unlink()
    return data.written


# --- sizes and positions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _DataLayout:
    """The position of external tensors: name of the file, and offset by initializer."""

    location: str
    offsets: dict[str, int]
    items: tuple[Initializer, ...]

    @classmethod
    def of(cls, planned: Plan, location: str) -> _DataLayout:
        offsets, at = {}, len(_MAGIC)
        items = tuple(item for item in planned.initializers if nbytes(item) > INLINE and item.dtype != "int64")
        for item in items:
            offsets[item.name] = at
            at += -(-nbytes(item) // ALIGNMENT) * ALIGNMENT
        return cls(location, offsets, items)


def _require_memory(graph: Graph, planned: Plan) -> None:
    """Raise E0705 unless the largest tensor fits in memory twice, as a converted tensor does."""
    needed = 2 * max(map(nbytes, planned.initializers), default=0)
    free = free_memory()
    if free is not None and needed > free:
        message = f"the largest tensor of `{graph.name}` needs {needed:,} bytes of memory; {free:,} are free"
        raise error("E0705", message, status=2)


def free_memory() -> int | None:
    """Return the bytes of memory that are available; None if the system does not report them."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            available = next((line for line in lines if line.startswith("MemAvailable:")), None)
        return int(available.split()[1]) * 1024 if available else None
    except (OSError, ValueError):
        return None


# --- the model without its tensors ----------------------------------------------------------------------------


def _head(graph: Graph, weights: Mapping[str, Array], meta: Mapping[str, str], planned: Plan) -> bytes:
    """Encode the model's own fields, which precede its graph."""
    facts = {
        "name": graph.name,
        "params": str(sum(t.param.numel for t in graph.tensors if t.param.trained and not t.node.training)),
        "weights": str(getattr(weights, "source", "given")),
        **{f"size {size.name}": str(size) for size in planned.free},
        **_folded(graph, planned),
        **({"precision": planned.precision} if planned.precision != "fp32" else {}),
        **{key: value for key, value in meta.items() if key != "paper" or "spec" not in meta},  # the spec names it
    }
    ir = ir_version(planned.opset)
    return encode.model(ir, "archdsl", __version__, _doc(graph, meta), planned.opset, facts)


def _folded(graph: Graph, planned: Plan) -> dict[str, str]:
    """Return the metadata entry with the nodes folded into each layer whose tensors have new names."""
    recipes = {node.path: next(iter(node.folded.values())) for node in graph.nodes if node.folded}
    layers = dict.fromkeys(
        item.name.rpartition("/")[0]
        for item in planned.initializers
        if not isinstance(item, Constant) and "/" in item.name
    )
    paths = {
        path: [m.path for m in (*recipes[path].before, *recipes[path].after)] if path in recipes else []
        for path in layers
    }
    text = absorbed.write(paths)
    return {"folded": text} if text else {}


def _doc(graph: Graph, meta: Mapping[str, str]) -> str:
    """Return the paper in one line, from its JSON."""
    try:
        paper = json.loads(meta.get("paper", "{}"))
        authors = paper.get("authors", "")
        names = authors if isinstance(authors, str) else ", ".join(map(str, authors))
        arxiv = f"arXiv {paper['arxiv']}" if paper.get("arxiv") else ""
        parts = [graph.name, names, str(paper.get("title") or ""), str(paper.get("year") or ""), arxiv]
    except (ValueError, AttributeError, TypeError):
        return graph.name
    return ". ".join(part.rstrip(".") for part in parts if part)


# --- streaming ------------------------------------------------------------------------------------------------


def _stream(
    graph: Graph, planned: Plan, numbers: Numbers, head: bytes, layout: _DataLayout | None
) -> Iterator[bytes | memoryview]:
    """Yield the file's bytes in order. Every length follows from the shapes, so no tensor is needed in advance."""
    body = encode.graph(graph.name, planned.nodes, planned.inputs, planned.outputs, planned.values)
    records = [(item, *_record(item, layout)) for item in planned.initializers]
    yield head
    yield protobuf.prefix(encode.MODEL_GRAPH, len(body) + sum(len(prefix) + size for _, prefix, size in records)) + body
    for item, prefix, size in records:
        yield prefix
        if size:
            yield bytes_of(numbers.of(item))


def _record(item: Initializer, layout: _DataLayout | None) -> tuple[bytes, int]:
    """Return an initializer's field up to its raw bytes, and the number of bytes that follow."""
    size, data_type = nbytes(item), ONNX_TYPES[item.dtype]
    if layout is not None and item.name in layout.offsets:
        position = {"location": layout.location, "offset": str(layout.offsets[item.name]), "length": str(size)}
        text = encode.tensor(item.name, item.shape, data_type, position)
        return protobuf.prefix(encode.GRAPH_INITIALIZER, len(text)) + text, 0
    text = encode.tensor(item.name, item.shape, data_type) + protobuf.prefix(encode.TENSOR_RAW, size)
    return protobuf.prefix(encode.GRAPH_INITIALIZER, len(text) + size) + text, size


def _write_data(layout: _DataLayout, numbers: Numbers, data: OutputFile, count: _Counter) -> None:
    data.write(_MAGIC)
    for item in layout.items:
        view = bytes_of(numbers.of(item))
        count(data.write(view))
        data.write(bytes(-len(view) % ALIGNMENT))


class _Counter:
    """Adds up the written bytes, and reports them at most once per block."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = self._reported = 0

    def __call__(self, size: int) -> None:
        self._done += size
        if self._progress is not None and (self._done - self._reported >= BLOCK or self._done >= self._total):
            self._reported = self._done
            self._progress(min(self._done, self._total), self._total)
