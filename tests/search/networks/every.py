"""The comparisons that take longer: every optimisation level, compiled files and what they say of themselves, half
precision, each legal size, receptive fields pixel by pixel, and all spellings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

import archdsl
from archdsl.analysis.receptive_field import receptive_fields
from archdsl.backends.onnx.write import build
from archdsl.backends.spec.rewrite import expand, flat_text, formatted
from archdsl.backends.torch import to_torch as module_of
from archdsl.backends.torch.module import build as meta_module
from archdsl.backends.torch.node import node_module
from archdsl.backends.weights import folded
from archdsl.passes.optimise import optimise
from archdsl.shapes import concrete
from archdsl.source import decode
from archdsl.spec.open import from_source
from tests.search.networks.case import (
    SCRATCH,
    Case,
    Result,
    Wanted,
    at_sizes,
    compare,
    defaults,
    first_difference,
    flat,
    named,
    reference,
)
from tests.search.networks.disguise import disguised
from tests.search.networks.reference import HALF, Misfit, Unsound, blank

Feeds = Mapping[str, np.ndarray]
Comparison = Callable[[Case, Feeds, Wanted, Result], None]


def check_every(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """All of them. What one raises is a mismatch of its own, and the others go on."""
    for name, comparison in COMPARISONS.items():
        try:
            comparison(case, feeds, want, result)
        except Exception as e:
            result.miss(f"{name}: {type(e).__name__}", e)


def ran(model: Any, feeds: Feeds, level: Any = None) -> list[Any]:
    """The outputs of a file, or of a model's bytes, in ONNX Runtime, by default as everybody runs it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if level is not None:
        options.graph_optimization_level = level
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, dict(feeds))


# --- files ----------------------------------------------------------------------------------------------------


def levels(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """Both models at each of the runtime's optimisation levels."""
    smaller = optimise(case.graph)
    models = {"-O0": build(case.graph, case.weights), "": build(smaller, folded(case.weights, smaller))}
    for which, model in models.items():
        content = model.SerializeToString()
        for name, level in ort.GraphOptimizationLevel.__members__.items():
            kind = f"onnxruntime {which} {name}"
            try:
                given = ran(content, feeds, level)
            except Exception as e:
                result.miss(kind, e)
                continue
            compare(result, kind, dict(zip(want.outputs, given, strict=True)), want, want.outputs)


def files(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """A compiled file run at other sizes, and read back: its spec is the network, its weights give the outputs."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        for number, passes in enumerate(([], None)):
            path = Path(folder, f"{number}.onnx")
            case.network.to_onnx(path, case.weights, passes=passes, free_sizes=True)
            given = ran(str(path), feeds)
            compare(result, f"file {passes}", dict(zip(want.outputs, given, strict=True)), want, want.outputs)
            _sizes_of(case, path, result)
            _read_back(case, path, passes, feeds, want, result)


def _sizes_of(case: Case, path: Path, result: Result) -> None:
    """Three sizes of the axes that the file leaves open."""
    free = [s for s in case.graph.sizes if not s.pinned]
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    open_axes = {axis for i in session.get_inputs() for axis in i.shape[1:] if isinstance(axis, str)}
    for steps in (0, 1, 3):
        sizes = defaults(case.graph) | {s.name: s.minimum + steps * s.step for s in free if s.name in open_axes}
        right = at_sizes(case, sizes, result)
        if right is None:
            continue
        feeds, want = right
        given = session.run(None, dict(feeds))
        compare(result, "file at another size", dict(zip(want.outputs, given, strict=True)), want, want.outputs)


def _read_back(case: Case, path: Path, passes: Any, feeds: Feeds, want: Wanted, result: Result) -> None:
    back = archdsl.import_model(path)
    difference = first_difference(case.graph, back.graph)
    if difference or not back.carried:
        result.miss("file read back", difference or "its spec is not read")
        return
    try:
        weights = {key: np.asarray(back.weights[key]) for key in back.weights}
    except archdsl.ArchError as e:
        if passes == [] or e.diagnostics[0].code != "E0845":  # a folded norm of zeros cannot be taken apart
            result.miss("weights read back", e)
        return
    live = {t.key for t in case.graph.tensors if not t.node.training and t.param.dtype != "int64"}
    same = partial(np.allclose, rtol=1e-6, atol=0)  # a file may hold a multiple of a tensor
    stored = live & _stored(case) if passes == [] else set()
    unequal = [key for key in stored if not same(weights[key], case.weights[key])]
    if unequal:
        result.miss("weights read back", f"other numbers: {unequal[:4]}")
    module = module_of(case.graph, weights)
    values = named(module(*(torch.from_numpy(x) for x in feeds.values())), want.outputs)
    compare(result, "outputs read back", values, want, want.outputs)


def _stored(case: Case) -> set[str]:
    """The tensors of nodes that an output needs: a file has no others."""
    needed = set(case.graph.outputs.values())
    for node in reversed(case.graph.nodes):
        needed |= set(node.inputs) if node.id in needed else set()
    return {node.key(param) for node in case.graph.nodes if node.id in needed for param in node.reads}


def half(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """A file in half precision, within what rounding to half precision does to the reference."""
    if not want.comparable:
        return
    bounds = reference(case, feeds, unit=HALF)
    if not bounds.comparable:
        return
    with TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder, "half.onnx")
        case.network.to_onnx(path, case.weights, precision="fp16")
        given = ran(str(path), feeds)
    result.facts["half"] = 1
    compare(result, "half precision", dict(zip(want.outputs, given, strict=True)), bounds, want.outputs)


# --- sizes and fields -----------------------------------------------------------------------------------------


def sizes(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """Every size of each axis, the others at their least: what is said to be legal runs, with the shapes of the
    formula; nothing else does."""
    module = meta_module(case.graph)
    kinds = {node.op.name for node in case.graph.nodes}
    joint = kinds & {"gn", "instancenorm"}  # the product of all axes must be 2: that becomes a rule on one
    joint |= {"maxpool"} & kinds if "dilation" in case.text else set()
    least = {size.name: size.default if size.pinned else size.minimum for size in case.graph.sizes}
    for size in case.graph.sizes:
        if size.pinned:
            continue
        for number in range(1, size.default + 2 * size.step + 4):
            legal = number >= size.minimum and number % size.step == size.default % size.step
            problem = _runs(case, module, least | {size.name: number})
            if legal and problem:
                result.miss("legal sizes", f"{size} allows {number}: {problem}")
            elif not legal and not problem and not joint:
                result.miss("legal sizes are too few", f"{size} forbids {number}, where the network runs")


def _runs(case: Case, module: Any, sizes: Mapping[str, int]) -> str:
    """Why the network does not run at these sizes, by the reference, by PyTorch, or with other shapes than said."""
    shapes = [concrete(case.graph.nodes[i].shape, sizes) for i in case.graph.inputs]
    paths = [case.graph.nodes[i].path for i in case.graph.inputs]
    try:
        outputs, _ = case.machine().run(dict(zip(paths, map(blank, shapes), strict=True)), heads=False)
    except (Unsound, Misfit, RuntimeError) as e:
        return f"the reference says {e}"
    wanted = [concrete(case.graph.nodes[i].shape, sizes) for i in case.graph.outputs.values()]
    if [tuple(value.shape[1:]) for value in outputs.values()] != wanted:
        return f"the outputs are {[tuple(v.shape[1:]) for v in outputs.values()]}, not {wanted}"
    try:
        made = flat(module(*(torch.zeros(1, *shape, device="meta") for shape in shapes)))
    except RuntimeError as e:
        return f"PyTorch says {e}"
    return "" if [tuple(value.shape[1:]) for value in made] == wanted else "PyTorch gives other shapes"


def fields(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """Each row of the inputs along each axis is changed alone: how many of them a value depends on, at most."""
    arrays = {i: case.feeds(batch=1)[case.graph.nodes[i].path] for i in case.graph.inputs}
    shapes = {x.shape[2:] for x in arrays.values() if x.ndim > 2}
    if len(shapes) != 1:
        return
    (sizes,) = shapes
    inputs = {i: _changed(torch.from_numpy(x).double(), sizes, case.rng) for i, x in arrays.items()}
    claimed = receptive_fields(case.graph)
    for node, value in _values(case, inputs):
        field = claimed[node.id]
        if field is None or value.dim() != 2 + len(sizes):
            continue
        rounding = 1e-10 * float(value.abs().max())  # the same sum may be rounded otherwise elsewhere in a batch
        moved = ((value[1:] - value[0]).abs().amax(1) > rounding).double()
        for axis, rows in enumerate(moved.split(sizes)):
            reach = _reach(rows.movedim(1 + axis, 1).flatten(2).amax(2) if rows.dim() > 2 else rows)
            if reach > field[axis]:
                what = f"{node.op.name} `{node.path}`: {field}, but {reach} along axis {axis}"
                result.miss("receptive field", what)
                return


def _changed(x: Any, sizes: Sequence[int], rng: np.random.Generator) -> Any:
    """The input, and it with each row along each axis changed."""
    batch = x.repeat(1 + sum(sizes), *(1,) * (x.dim() - 1))
    if x.dim() > 2:
        noise, number = torch.from_numpy(rng.standard_normal(x.shape[1:])), 0
        for axis, size in enumerate(sizes, 1):
            for row in range(size):
                number += 1
                batch[number].select(axis, row).add_(noise.select(axis, row))
    return batch


def _values(case: Case, inputs: Mapping[int, Any]) -> Any:
    """The nodes that run at inference, each with its value in float64."""
    values: dict[int, Any] = {}
    for node in case.graph.nodes:
        if node.training:
            continue
        module = None if node.id in inputs else node_module(node, case.weights).double()
        values[node.id] = inputs[node.id] if module is None else module(*(values[i] for i in node.inputs))
        yield node, values[node.id]


def _reach(moved: Any) -> int:
    """How many rows of the input move a row of the output, from the first to the last: of (inputs, outputs)."""
    places = [column.nonzero() for column in moved.unbind(1)]
    return max((int(p.max() - p.min()) + 1 for p in places if len(p)), default=0)


# --- texts ----------------------------------------------------------------------------------------------------


def spellings(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """The flat text, and the long and the flat text of the disguise, are the network; so are its files after `fmt`."""
    try:
        opened = from_source(decode(case.text.encode(), "random.yaml"), "other" if case.variant else None)
        _same(case, archdsl.loads(flat_text(opened)), "expand --flat", result)
    except archdsl.ArchError as e:
        if e.diagnostics[0].code != "E0317":
            raise
    disguise = disguised(case.doc, result.seed, case.variant)
    with TemporaryDirectory(dir=SCRATCH) as folder:
        for name, text in disguise.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        hidden = archdsl.load(f"{folder}/{disguise.spec}")
        _same(case, archdsl.loads(expand(f"{folder}/{disguise.spec}").text), "expand of the disguise", result)
        _same(case, archdsl.loads(hidden.metadata()["spec"]), "the disguise in a file", result)
        for name in disguise.files:
            path = Path(folder, name)
            try:
                text = formatted(archdsl.source.read(path))
            except archdsl.ArchError:
                continue  # a base that nobody runs is no network
            path.write_text(text, encoding="utf-8")
            _same(case, archdsl.load(f"{folder}/{disguise.spec}"), "fmt of the disguise", result)


def _same(case: Case, other: Any, kind: str, result: Result) -> None:
    difference = archdsl.diff(case.network, other)
    if not difference.equal:
        result.miss(kind, difference.text())


def module_facts(case: Case, feeds: Feeds, want: Wanted, result: Result) -> None:
    """What a module is on `meta`, and what it counts."""
    if case.network.to_torch(device="meta").training:
        result.miss("meta module", "it is in training mode")


COMPARISONS: Mapping[str, Comparison] = {
    "levels": levels,
    "files": files,
    "half": half,
    "sizes": sizes,
    "fields": fields,
    "spellings": spellings,
    "module": module_facts,
}
