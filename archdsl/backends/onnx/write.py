"""The ONNX file, written straight from the graph: header first, then tensor after tensor.

Everything but the tensors is known before the first of them is made; their bytes follow one after the other (fields may
come in any order), so no more than one tensor is in memory at a time.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.backends.onnx import absorbed, encode, protobuf
from archdsl.backends.onnx.numbers import Numbers
from archdsl.backends.onnx.plan import Plan, plan
from archdsl.backends.onnx.records import Constant, Initializer, nbytes
from archdsl.backends.onnx.types import ONNX_TYPES, Precision
from archdsl.backends.weights import Array
from archdsl.backends.weights.safetensors import bytes_of
from archdsl.diagnostics import Diagnostic, error
from archdsl.files.atomic import OutputFile, WrittenFile, atomic_write, check_target, directory_lock, require_space
from archdsl.files.disk import BLOCK
from archdsl.graph import Graph
from archdsl.version import __version__

if TYPE_CHECKING:
    import onnx

    from archdsl.progress import Progress

IR_VERSION, OPSET = 10, 20
_OPSET_BF16 = 22
"""The first whose Conv takes bfloat16."""
MAX_FILE = 2**31 - 1 - 2**24
"""Protobuf reads no message of 2 GiB; some megabytes are left for the nodes."""
INLINE = 1024
"""Initializers up to this many bytes stay in the model even where the others lie outside."""
ALIGNMENT = 4096
_MAGIC = b"archdsl external data\n".ljust(ALIGNMENT, b"\0")
_PRODUCER = protobuf.text(2, "archdsl")
"""`producer_name` of onnx.ModelProto."""
_LOCATION = 2
"""The value of an entry that says where external data lies."""


@dataclass(frozen=True, slots=True)
class WrittenModel(WrittenFile):
    """The model's file, that of its external data if there is one, and what there is to say about it."""

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
) -> onnx.ModelProto:
    """The model in memory, weights inside; with `value_info` the shapes of all values too, without `free_sizes` for one
    size.

    Errors: E0705 it is too large for that.
    """
    import onnx

    planned = plan(graph, precision, value_info, free_sizes)
    if planned.nbytes > MAX_FILE:
        raise error(
            "E0705",
            f"`{graph.name}` needs {planned.nbytes:,} bytes; a model in memory holds {MAX_FILE:,}",
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
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> WrittenModel:
    """Writes the network for inference. Shapes and the weights' place are decided before anything is allocated.

    `meta` goes into the file's metadata (`spec_sha256`, and as JSON `paper`, `preprocess`, `labels`). Weights lie
    inside the file unless that would pass 2 GB, or `external_data` says so: then in `<path>.data` beside it
    (`<path>.2.data` where the model that is replaced uses that name). Half precision (`types`) rounds each number once;
    what has no place in it is told as W0717. With `value_info` the file states the shape of every value, which viewers
    show. Without `free_sizes` height and width are numbers.

    Errors: E0705 more bytes than the disk or the memory has; E0603 weights that are not the graph's; E0701 to E0704
    as `archdsl.files.atomic_write`.
    """
    planned = plan(graph, precision, value_info, free_sizes)
    target = check_target(path, inputs=inputs, force=force, replaceable=_mine)
    external = planned.nbytes > MAX_FILE if external_data is None else external_data
    if not external and planned.nbytes > MAX_FILE:
        raise error(
            "E0705",
            f"`{graph.name}` needs {planned.nbytes:,} bytes; one ONNX file holds {MAX_FILE:,}",
            status=2,
            help="leave its weights in a file of their own",
        )
    require_space(target, planned.nbytes, "E0705", graph.name)
    _require_memory(graph, planned)
    head = _head(graph, weights, meta or {}, planned)
    count, numbers = _Counter(planned.nbytes, progress), Numbers(graph.name, weights)
    given = [*inputs]
    with atomic_write(target, inputs=given, force=force, replaceable=_mine) as model:
        if external:
            data = _write_outside(model, planned, given, force, (graph, numbers, head, count))
        else:
            for piece in _stream(graph, planned, numbers, head, None):
                count(model.write(piece))
    assert model.written is not None
    written = model.written
    return WrittenModel(
        written.path, written.size, data if external else None, (*planned.notes, *_told(numbers, planned))
    )


def _told(numbers: Numbers, planned: Plan) -> tuple[Diagnostic, ...]:
    """What there is to say of half precision: who runs it, and what did not fit."""
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
        what = f"`{numbers.beyond[0]}`{more} holds numbers too large for {planned.precision}: they became infinite"
        notes.append(Diagnostic("W0717", what, severity="warning"))
    return tuple(notes)


def _write_outside(
    model: OutputFile,
    planned: Plan,
    inputs: Iterable[str | os.PathLike[str]],
    force: bool,
    work: tuple[Graph, Numbers, bytes, _Counter],
) -> WrittenFile | None:
    """The weights into a file beside the model, then the model, which names it.

    The old model keeps its own data until the new one has taken its place: at no moment does a model stand there whose
    weights do not. So the data file has two names, of which the old model uses one.
    """
    graph, numbers, head, count = work
    target = model.target
    names = [target.with_name(f"{target.name}{ending}") for ending in (".data", ".2.data")]
    with atomic_write(names[0], inputs=inputs, force=force, replaceable=_mine_data) as data:
        _write_data(_Layout.of(planned, ""), numbers, data, count)
        with directory_lock(target.parent):
            used = _names(target, names[0].name)
            data.target = check_target(names[used], inputs=inputs, force=force, replaceable=_mine_data)
            for piece in _stream(graph, planned, numbers, head, _Layout.of(planned, data.target.name)):
                count(model.write(piece))
            data.commit()
            model.commit()
            if _mine_data(names[not used]):
                names[not used].unlink()
    return data.written


def _names(model: Path, data: str) -> bool:
    """Whether an existing model says that its weights lie in the file of that name."""
    try:
        with open(model, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            return held.find(protobuf.message(_LOCATION, os.fsencode(data))) >= 0
    except (OSError, ValueError):
        return False


# --- what is known before the first tensor --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where external tensors lie: name of the file, and offset by initializer."""

    location: str
    offsets: dict[str, int]
    items: tuple[Initializer, ...]

    @classmethod
    def of(cls, planned: Plan, location: str) -> _Layout:
        offsets, at = {}, len(_MAGIC)
        items = tuple(item for item in planned.initializers if nbytes(item) > INLINE and item.dtype != "int64")
        for item in items:
            offsets[item.name] = at
            at += -(-nbytes(item) // ALIGNMENT) * ALIGNMENT
        return cls(location, offsets, items)


def _require_memory(graph: Graph, planned: Plan) -> None:
    """The largest tensor is made in memory, and a converted one twice: refused before it is tried."""
    need = 2 * max(map(nbytes, planned.initializers), default=0)
    have = free_memory()
    if have is not None and need > have:
        raise error(
            "E0705", f"the largest tensor of `{graph.name}` needs {need:,} bytes of memory; {have:,} are free", status=2
        )


def free_memory() -> int | None:
    """Bytes of memory that a process may still take, where the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next((line for line in lines if line.startswith("MemAvailable:")), None)
        return int(found.split()[1]) * 1024 if found else None
    except (OSError, ValueError):
        return None


# --- the model without its tensors ----------------------------------------------------------------------------


def _head(graph: Graph, weights: Mapping[str, Array], meta: Mapping[str, str], planned: Plan) -> bytes:
    """The model's own fields; its graph comes behind."""
    facts = {
        "name": graph.name,
        "params": str(sum(t.param.numel for t in graph.tensors if t.param.trained and not t.node.training)),
        "weights": str(getattr(weights, "source", "given")),
        **{f"size {size.name}": str(size) for size in planned.free},
        **_folded(graph, planned),
        **({"precision": planned.precision} if planned.precision != "fp32" else {}),
        **{key: value for key, value in meta.items() if key != "paper" or "spec" not in meta},  # the spec names it
    }
    opset = _OPSET_BF16 if planned.precision == "bf16" else OPSET
    return encode.model(IR_VERSION, "archdsl", __version__, _doc(graph, meta), opset, facts)


def _folded(graph: Graph, planned: Plan) -> dict[str, str]:
    """What the layers took in whose tensors stand under names of their own."""
    recipes = {node.path: next(iter(node.folded.values())) for node in graph.nodes if node.folded}
    layers = dict.fromkeys(
        item.name.rpartition("/")[0]
        for item in planned.initializers
        if not isinstance(item, Constant) and "/" in item.name
    )
    taken = {
        path: [m.path for m in (*recipes[path].before, *recipes[path].after)] if path in recipes else []
        for path in layers
    }
    text = absorbed.write(taken)
    return {"folded": text} if text else {}


def _doc(graph: Graph, meta: Mapping[str, str]) -> str:
    """The paper in one line, from its JSON."""
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
    graph: Graph, planned: Plan, numbers: Numbers, head: bytes, layout: _Layout | None
) -> Iterator[bytes | memoryview]:
    """The file's bytes in order. Every length is known from the shapes, so none waits for a tensor."""
    body = encode.graph(graph.name, planned.nodes, planned.inputs, planned.outputs, planned.values)
    records = [(item, *_record(item, layout)) for item in planned.initializers]
    yield head
    yield protobuf.prefix(encode.MODEL_GRAPH, len(body) + sum(len(prefix) + size for _, prefix, size in records)) + body
    for item, prefix, size in records:
        yield prefix
        if size:
            yield bytes_of(numbers.of(item))


def _record(item: Initializer, layout: _Layout | None) -> tuple[bytes, int]:
    """An initializer's field up to its raw bytes, and how many follow."""
    size, kind = nbytes(item), ONNX_TYPES[item.dtype]
    if layout is not None and item.name in layout.offsets:
        place = {"location": layout.location, "offset": str(layout.offsets[item.name]), "length": str(size)}
        text = encode.tensor(item.name, item.shape, kind, place)
        return protobuf.prefix(encode.GRAPH_INITIALIZER, len(text)) + text, 0
    text = encode.tensor(item.name, item.shape, kind) + protobuf.prefix(encode.TENSOR_RAW, size)
    return protobuf.prefix(encode.GRAPH_INITIALIZER, len(text) + size) + text, size


def _write_data(layout: _Layout, numbers: Numbers, data: OutputFile, count: _Counter) -> None:
    data.write(_MAGIC)
    for item in layout.items:
        view = bytes_of(numbers.of(item))
        count(data.write(view))
        data.write(bytes(-len(view) % ALIGNMENT))


class _Counter:
    """Adds up what was written, and tells it at most once a chunk."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = self._told = 0

    def __call__(self, size: int) -> None:
        self._done += size
        if self._progress is not None and (self._done - self._told >= BLOCK or self._done >= self._total):
            self._told = self._done
            self._progress(min(self._done, self._total), self._total)


# --- what may be overwritten ----------------------------------------------------------------------------------


def _mine(path: Path) -> bool:
    return _starts(path, lambda head: head[:1] == b"\x08" and _PRODUCER in head[:16])


def _mine_data(path: Path) -> bool:
    return _starts(path, lambda head: head.startswith(_MAGIC[:22]))


def _starts(path: Path, judge: Callable[[bytes], bool]) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return judge(file.read(64))
    except OSError:
        return False
