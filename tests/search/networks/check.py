"""What archdsl makes of one spec held against the reference: shapes, tensors, counts, outputs, other spellings.

Each node alone has a sharper tolerance than the outputs (see `case`), for each of its channels: that of `archdsl
verify`, whose reference is compared as well. `every` has the comparisons that take longer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.write import build
from archdsl.backends.spec.rewrite import formatted, long_text
from archdsl.backends.torch import to_source
from archdsl.backends.torch import to_torch as module_of
from archdsl.backends.torch.module import build as meta_module
from archdsl.backends.weights import folded
from archdsl.passes.optimise import optimise
from archdsl.shapes import concrete
from archdsl.source import decode
from archdsl.spec.open import from_source
from archdsl.verification.compare import compare_nodes
from archdsl.verification.observe import module_values, onnx_values
from archdsl.verification.reference import reference_outputs
from tests.search.networks.case import (
    DOUBLE,
    SCRATCH,
    WORTHLESS,
    Case,
    Result,
    Wanted,
    at_sizes,
    case_of,
    compare,
    defaults,
    first_difference,
    flat,
    named,
    plan_nodes,
    reference,
)
from tests.search.networks.disguise import disguised
from tests.search.networks.every import check_every
from tests.search.networks.reference import Machine, Misfit, Unsound, blank

# --- the checks -----------------------------------------------------------------------------------------------


def check(doc: Mapping[str, Any], seed: int | str = 0, deep: bool = True, every: bool = False) -> Result:
    """All comparisons for one spec: `deep` with spellings, `every` with those of `every`. Nothing is raised: an
    exception is a mismatch of its own."""
    result = Result(seed)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            _check(doc, seed, result, deep, every)
    except Exception as e:
        result.miss(f"exception {type(e).__name__}", e)
    return result


def _check(doc: Mapping[str, Any], seed: int | str, result: Result, deep: bool, every: bool) -> None:
    try:
        case = case_of(doc, seed)
    except archdsl.ArchError as e:
        result.rejected = f"{e.diagnostics[0].code} {e.diagnostics[0].message}"
        return
    graph = case.graph
    result.facts = {"nodes": len(graph.nodes), **{node.op.name: 1 for node in graph.nodes}}
    feeds = case.feeds()
    try:
        want = reference(case, feeds)
    except (Misfit, Unsound) as e:
        result.miss("reference", f"{type(e).__name__}: {e}")
        return
    check_disguise(case, seed, result, deep)
    check_counts(case, result)
    sizes = {name: float(value.abs().max()) for name, value in want.outputs.items()}
    result.facts["not compared"] = sum(
        not want.comparable or want.bounds[n] > WORTHLESS * size > 0 for n, size in sizes.items()
    )
    result.facts["outputs"] = len(sizes)
    module = check_torch(case, feeds, want, result)
    check_onnx(case, feeds, want, result)
    check_optimised(case, feeds, want, result)
    check_reference(case, feeds, want, result)
    check_nodes(case, feeds, want, result)
    check_sizes(case, module, result)
    if deep:
        check_spellings(case, result)
    if every:
        check_every(case, feeds, want, result)


def check_disguise(case: Case, seed: int | str, result: Result, deep: bool) -> None:
    """The network in a roundabout text, in several files, is the same graph, and `diff` reports no difference."""
    disguise = disguised(case.doc, seed, case.variant)
    with TemporaryDirectory(dir=SCRATCH) as folder:
        for name, text in disguise.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        try:
            other = archdsl.load(f"{folder}/{disguise.spec}")
        except archdsl.ArchError as e:
            result.miss("disguise refused", f"{e.diagnostics[0].code} {e.diagnostics[0].message}\n{disguise}")
            return
    difference = first_difference(case.graph, other.graph)
    if difference:
        result.miss("disguise", f"{difference}\n{disguise}")
    elif deep and not archdsl.diff(case.network, other).equal:
        result.miss("disguise by diff", f"{archdsl.diff(case.network, other).text()}\n{disguise}")


def check_counts(case: Case, result: Result) -> None:
    """Parameters and multiply-accumulates without auxiliary heads, against the reference and torch's counter: those of
    nodes that neither an output nor a head depends on are not counted."""
    shapes = {case.graph.nodes[i].path: concrete(case.graph.nodes[i].shape) for i in case.graph.inputs}
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        machine = Machine(case.doc, None, None, case.variant, spent=counter.get_total_flops)
        ends = machine.run({name: blank(shape).requires_grad_() for name, shape in shapes.items()})
        sum(value.sum() for part in ends for value in part.values()).backward()
    costs, trained = machine.trunk
    macs = sum(macs for value, macs in machine.costs[:costs] if value.grad is not None)
    if case.network.macs != macs:
        result.miss("macs", f"{case.network.macs}, torch counts {macs}")
    if case.network.params != trained:
        result.miss("params", f"{case.network.params}, the reference trains {trained}")
    live = set(plan_nodes(case.graph))
    result.facts["unread"] = int(len(live) < len([n for n in case.graph.nodes if not n.training]))


def check_torch(case: Case, feeds: Mapping[str, np.ndarray], want: Wanted, result: Result) -> Any:
    """The live module in float64 and float32, the printed source, and shapes on `meta`."""
    graph, x = case.graph, [torch.from_numpy(value) for value in feeds.values()]
    module = module_of(graph, case.weights)
    keys = {t.key: tuple(t.param.shape) for t in graph.tensors}
    if {k: tuple(v.shape) for k, v in module.state_dict().items()} != keys:
        result.miss("tensors", "the module's state_dict is not graph.tensors")
    trained = sum(t.param.numel for t in graph.tensors if t.param.trained)
    if sum(p.numel() for p in module.parameters() if p.requires_grad) != trained:
        result.miss("params", "the module trains another number of parameters")
    live = module(*x)
    compare(result, "module", named(live, want.outputs), want, want.outputs)
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(to_source(graph), "printed", "exec"), space)
    printed = space["build"]().eval()
    printed.load_state_dict(module.state_dict(), strict=True)
    again = printed(*x)
    if not all(torch.equal(a, b) or not want.comparable for a, b in zip(flat(live), flat(again), strict=True)):
        result.miss("printed", "the printed source gives other numbers than the module")
    shapes = [tuple(t.shape) for t in flat(meta_module(graph).eval()(*(value.to("meta") for value in x)))]
    if shapes != [(len(x[0]), *concrete(graph.nodes[i].shape)) for i in graph.outputs.values()]:
        result.miss("meta", f"torch on meta gives {shapes}")
    if graph.aux and not {"dropout", "droppath"} & {node.op.name for node in graph.nodes}:
        module.train()
        for part in module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.eval()
        compare(result, "aux", named(module(*x), {}), want, {**want.outputs, **want.aux})
        module.eval()
    wide = module.double()
    compare(
        result,
        "module float64",
        named(wide(*(value.double() for value in x)), want.outputs),
        want,
        want.outputs,
        64 * DOUBLE,
    )
    return wide


def session(model: onnx.ModelProto, plain: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if plain else levels.ORT_ENABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def check_onnx(case: Case, feeds: Mapping[str, np.ndarray], want: Wanted, result: Result) -> None:
    """The model: initializers, inferred shapes of every node, and what ONNX Runtime gives, optimised or node by
    node."""
    graph = case.graph
    model = build(graph, case.weights)
    inferred = onnx.shape_inference.infer_shapes(bare(model), check_type=True, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model)
    planned = plan(graph)
    found = {
        v.name: [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info
    }
    for value in planned.values:
        theirs = found.get(value.name)
        if (
            theirs is None
            or len(theirs) != len(value.shape)
            or any(
                isinstance(b, int) and isinstance(a, int) and a != b for a, b in zip(value.shape, theirs, strict=True)
            )
        ):
            result.miss("onnx shapes", f"`{value.name}` is {value.shape}; ONNX infers {theirs}")
    needed = set(plan_nodes(graph))
    kept = {t.key for t in graph.tensors if t.node.id in needed and t.param.name != "num_batches_tracked"}
    derived = {item.name for item in model.graph.initializer}
    if not kept <= derived | {name.rsplit("/", 1)[0] for name in derived} and not covered(kept, derived, planned):
        result.miss("initializers", f"missing: {sorted(kept - derived)[:4]}")
    plain = bool(case.rng.integers(2))
    inner = (
        [node for node in graph.nodes if node.id in needed and node.path in {v.name for v in planned.values}]
        if plain
        else []
    )
    for node in inner:
        model.graph.output.append(onnx.helper.make_tensor_value_info(node.path, onnx.TensorProto.FLOAT, None))
    names = [*want.outputs, *(node.path for node in inner)]
    given = session(model, plain).run([*[v.name for v in planned.outputs], *(node.path for node in inner)], dict(feeds))
    compare(result, "onnxruntime", dict(zip(want.outputs, given, strict=False)), want, want.outputs)
    for node, value in zip(inner, given[len(want.outputs) :], strict=True):
        if value.shape[1:] != concrete(node.shape):
            result.miss("onnxruntime shapes", f"`{node.path}` is {value.shape}, not {concrete(node.shape)}")
    result.facts["compared inside"] = len(names) - len(want.outputs)


def check_optimised(case: Case, feeds: Mapping[str, np.ndarray], want: Wanted, result: Result) -> None:
    """The passes for inference: fewer nodes, the same numbers, in ONNX Runtime without its own optimiser."""
    smaller = optimise(case.graph)
    if len(smaller.nodes) > len(case.graph.nodes):
        result.miss("optimised", f"{len(case.graph.nodes)} nodes became {len(smaller.nodes)}")
    model = build(smaller, folded(case.weights, smaller))
    given = session(model, plain=True).run(None, dict(feeds))
    compare(result, "optimised", dict(zip(want.outputs, given, strict=True)), want, want.outputs)


def check_reference(case: Case, feeds: Mapping[str, np.ndarray], want: Wanted, result: Result) -> None:
    """The float64 reference of `archdsl verify`, which shares nothing with the one here."""
    outputs = reference_outputs(case.graph, case.weights, feeds)
    values = {name: torch.from_numpy(np.array(found.value)) for name, found in outputs.items()}
    compare(result, "reference", values, want, want.outputs, 64 * DOUBLE)


def check_nodes(case: Case, feeds: Mapping[str, np.ndarray], want: Wanted, result: Result) -> None:
    """Every node of module and ONNX file within the tolerance of each of its channels, as `archdsl verify` has it."""
    if not want.comparable:
        return
    values = {
        "module": module_values(module_of(case.graph, case.weights), case.graph, feeds),
        "onnx": onnx_values(build(case.graph, case.weights), Path("random.onnx"), feeds, case.graph.by_path),
    }
    for node in compare_nodes(case.graph, case.weights, feeds, values).nodes:
        for name in node.failing:
            result.miss(f"node of the {name}", f"{node.op} `{node.path}`: {node.deviations[name]}")


def covered(kept: set[str], derived: set[str], planned: Any) -> bool:
    """A tensor may be stored in another shape, under a name beginning with its own, or as a tensor computed from it."""
    sources = {getattr(item, "key", item.name) for item in planned.initializers}
    recipes = (getattr(item, "recipe", None) for item in planned.initializers)
    sources |= {key for recipe in recipes if recipe is not None for key in recipe.keys}
    return kept <= sources | derived


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the shapes that it states, but for its inputs'."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    return copy


def check_sizes(case: Case, module: Any, result: Result) -> None:
    """Every size that the graph says it takes, it takes: the least, and another; the same model file."""
    free = [size for size in case.graph.sizes if not size.pinned]
    if not free:
        return
    result.facts["free"] = 1
    model = session(build(case.graph, case.weights), bool(case.rng.integers(2)))
    open_axes = {s.name for s in plan(case.graph).free}
    for least in (True, False):
        sizes = defaults(case.graph) | {
            s.name: s.minimum if least else s.default + s.step * int(case.rng.integers(1, 4)) for s in free
        }
        right = at_sizes(case, sizes, result)
        if right is None:
            continue
        feeds, want = right
        names = list(want.outputs)
        for name, i in zip(names, case.graph.outputs.values(), strict=True):
            if tuple(want.outputs[name].shape[1:]) != concrete(case.graph.nodes[i].shape, sizes):
                result.miss(
                    "sizes",
                    f"at {sizes} `{name}` is {tuple(want.outputs[name].shape[1:])}, not"
                    f" {concrete(case.graph.nodes[i].shape, sizes)}",
                )
        made = named(module(*(torch.from_numpy(x).double() for x in feeds.values())), want.outputs)
        compare(result, "module at another size", made, want, want.outputs, 64 * DOUBLE)
        if all(sizes[s.name] == s.default or s.name in open_axes for s in free):
            given = model.run(None, feeds)
            compare(result, "onnxruntime at another size", dict(zip(names, given, strict=True)), want, want.outputs)
            result.facts["other sizes"] = 1


def check_spellings(case: Case, result: Result) -> None:
    """`fmt(expand(x))`, `fmt(x)` and the text itself are one graph."""
    prints = archdsl.loads(case.text).fingerprint
    long = long_text(from_source(decode(case.text.encode(), "random.yaml")))
    for kind, text in (
        ("expand", long),
        ("fmt", formatted(decode(case.text.encode(), "random.yaml"))),
        ("fmt of expand", formatted(decode(long.encode(), "long.yaml"))),
    ):
        if archdsl.loads(text).fingerprint != prints:
            result.miss(kind, "another graph")


__all__ = ["Case", "Result", "case_of", "check"]
