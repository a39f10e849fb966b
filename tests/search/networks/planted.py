"""Bugs put into archdsl on purpose, to see that the random networks catch them: `python -m
tests.search.networks.planted`.

Each is a patch of one function or table, with a word that the text of a spec must hold to be worth a try.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from archdsl import ops
from archdsl.backends.onnx import lower as onnx_lower
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules import pool as onnx_pool
from archdsl.backends.torch import lower as torch_lower
from archdsl.backends.torch.rules import conv as torch_conv
from archdsl.elaborate import composites, make
from archdsl.elaborate.size_limits import SizeLimits
from archdsl.elaborate.walk import Walker
from archdsl.language.expressions import arithmetic
from archdsl.ops import conv as conv_ops
from archdsl.ops import pool as pool_ops
from archdsl.passes import fold_norms
from archdsl.shapes import Pads
from archdsl.verification.compare import compare_nodes
from archdsl.verification.observe import module_values
from tests.search.networks import check as check_module
from tests.search.networks.case import apart, case_of, named, reference
from tests.search.networks.check import check, module_of
from tests.search.networks.make import specification
from tests.search.networks.text import written

SEEDS = range(50_000, 51_000)
"""Not those of the other tests."""


@dataclass(frozen=True)
class Bug:
    name: str
    word: str
    plant: Callable[[], Any]
    every: bool = False
    """Whether it takes the comparisons of `every`."""


def onnx_attribute(op_type: str, **changes: Any) -> Callable[[], Any]:
    """Each ONNX node of the type has these attributes, whatever it should have; a function is given the right value."""

    @contextmanager
    def planted() -> Iterator[None]:
        def wrong(method: Any) -> Any:
            def run(self: Emitter, *args: Any, **attributes: Any) -> Any:
                if op_type in args[:2]:
                    for key, value in changes.items():
                        attributes[key] = value(attributes[key]) if callable(value) else value
                return method(self, *args, **attributes)

            return run

        with patch.object(Emitter, "step", wrong(Emitter.step)), patch.object(Emitter, "last", wrong(Emitter.last)):
            yield

    return planted


def row(table: Mapping[Any, Any], op: Any, change: Callable[[Any], Any]) -> Callable[[], Any]:
    """Another op is lowered in place of the one at hand."""
    right = table[op]
    return lambda: patch.dict(table, {op: lambda first, *rest: right(*changed(first, rest, change))})  # type: ignore[arg-type]


def changed(first: Any, rest: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
    """In torch's table the op comes first, in ONNX's the emitter."""
    return (first, change(rest[0])) if isinstance(first, Emitter) else (change(first), *rest)


def field(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda op: op.model_copy(update={name: value(getattr(op, name)) if callable(value) else value})


def method(owner: Any, name: str, wrong: Callable[..., Any]) -> Callable[[], Any]:
    """`wrong` is given the right function in front of its arguments."""
    right = getattr(owner, name)
    return lambda: patch.object(owner, name, lambda *args, **more: wrong(right, *args, **more))


def together(*plants: Callable[[], Any]) -> Callable[[], Any]:
    """Several patches as one."""

    @contextmanager
    def planted() -> Iterator[None]:
        with ExitStack() as stack:
            for plant in plants:
                stack.enter_context(plant())
            yield

    return planted


def turned(pads: Any) -> Pads:
    """The pads of the first axis on the last."""
    return Pads.of(Pads(pads).begins[::-1], Pads(pads).ends[::-1])


def mixed(pads: Any) -> Pads:
    """The pads before the input behind it."""
    return Pads.of(Pads(pads).ends, Pads(pads).begins)


def last_first(numbers: Any) -> Any:
    return tuple(numbers)[::-1]


def all_of(number: int) -> Callable[[Any], Any]:
    """The same number on each axis."""
    return lambda numbers: (number,) * len(numbers)


TORCH, ONNX = torch_lower.TABLE, onnx_lower.TABLE
BUGS = [
    Bug("torch: a conv's dilation is lost", "dilation", row(TORCH, ops.Conv, field("dilation", all_of(1)))),
    Bug("torch: averages divide by other pixels", "inside", row(TORCH, ops.AvgPool, field("inside", lambda v: not v))),
    Bug("torch: leaky_relu has its default slope", "slope", row(TORCH, ops.LeakyRelu, field("slope", 0.01))),
    Bug("torch: gelu is exact", "approximate", row(TORCH, ops.Gelu, field("approximate", False))),
    Bug(
        "torch: uneven pads are turned round",
        "pad=",
        method(torch_conv, "sides", lambda right, pads: right(turned(pads))),
    ),
    Bug(
        "torch: pads before the input are added behind it",
        "pad=",
        method(torch_conv, "sides", lambda right, pads: right(mixed(pads))),
    ),
    Bug("torch: a conv's stride is that of another axis", "conv", row(TORCH, ops.Conv, field("stride", last_first))),
    Bug("torch: a pool's window is turned round", "maxpool", row(TORCH, ops.MaxPool, field("kernel", last_first))),
    Bug("onnx: a conv's pads are turned round", "pad=", onnx_attribute("Conv", pads=turned)),
    Bug("onnx: a conv's pads are added at the other end", "pad=", onnx_attribute("Conv", pads=mixed)),
    Bug("onnx: a conv's strides are turned round", "conv", onnx_attribute("Conv", strides=last_first)),
    Bug("onnx: an image grows along another axis", "upsample", row(ONNX, ops.Upsample, field("scale", last_first))),
    Bug("onnx: softmax over the last axis", "softmax", onnx_attribute("Softmax", axis=-1)),
    Bug("onnx: hardsigmoid with alpha 0.2", "hardsigmoid", onnx_attribute("HardSigmoid", alpha=0.2)),
    Bug("onnx: batch norm with eps 1e-5", "eps", onnx_attribute("BatchNormalization", epsilon=1e-5)),
    Bug("onnx: channels are not shuffled", "shuffle", row(ONNX, ops.Shuffle, field("groups", 1))),
    Bug(
        "onnx: linear with aligned corners",
        "upsample",
        onnx_attribute("Resize", coordinate_transformation_mode="align_corners"),
    ),
    Bug("onnx: a slice begins at 0", "slice", row(ONNX, ops.Slice, field("start", 0))),
    Bug("onnx: lrn's alpha is ten times as large", "lrn", row(ONNX, ops.Lrn, field("alpha", lambda a: a * 10))),
    Bug("onnx: deconv without output padding", "deconv", onnx_attribute("ConvTranspose", output_padding=all_of(0))),
    Bug("onnx: group norm with eps 1e-3", "gn", onnx_attribute("InstanceNormalization", epsilon=1e-3)),
    Bug("onnx: ceil pools lose their last window", "ceil", method(onnx_pool, "_rounds_up", lambda right, *args: False)),
    Bug("onnx: elu with alpha 1", "alpha", row(ONNX, ops.Elu, field("alpha", 1.0))),
    Bug(
        "ops: even kernels are padded, too",
        "2x2 conv",
        method(
            ops.Conv,
            "pads",
            lambda right, op, shape: (
                right(op, shape) if op.pad is not None else Pads(k // 2 for k in (*op.kernel, *op.kernel))
            ),
        ),
    ),
    Bug(
        "ops: `same` puts the odd pixel in front",
        "same",
        lambda: patch.object(conv_ops, "same_pads", lambda *a, right=conv_ops.same_pads: right(*a)[::-1]),
    ),
    Bug(
        "ops: a deconv adds nothing at the end",
        "deconv",
        method(ops.Deconv, "crops", lambda right, op: tuple((p, 0) for p, _ in right(op))),
    ),
    Bug(
        "ops: a window reads along another axis",
        "conv",
        method(ops.Conv, "window", lambda right, op, inputs: right(op, inputs)[::-1]),
        every=True,
    ),
    Bug(
        "ops: MACs forget the groups",
        "groups",
        method(ops.Conv, "macs", lambda right, op, *args: right(op, *args) * op.groups),
    ),
    Bug(
        "ops: a window's bias is counted",
        "conv",
        method(ops.Conv, "macs", lambda right, op, i, o: right(op, i, o) + op.out),
    ),
    Bug(
        "ops: ceil pools without torch's rule",
        "ceil",
        lambda: patch.object(
            pool_ops,
            "window",
            lambda *a, right=pool_ops.window: (
                right(*a[:5], (a[5] or 0) + a[2] - 1) if len(a) > 6 and a[6] else right(*a)
            ),
        ),
    ),
    Bug("ops: ln on all that is left of a group norm", "gn", row(TORCH, ops.Gn, field("groups", 1))),
    Bug(
        "elaborate: a residual's scale is lost",
        "scale:",
        lambda: patch.object(composites, "_scaled", lambda walker, item, inside, body, ctx, origin: body),
    ),
    Bug(
        "elaborate: a conv keeps its bias before a norm",
        "bn",
        method(
            make.OpMaker,
            "_make",
            lambda right, maker, op, values, fields, span: right(
                maker,
                op,
                {**values, "bias": True} if values.get("bias") is False and "bias" not in fields else values,
                fields,
                span,
            ),
        ),
    ),
    Bug(
        "elaborate: dwconv does not take conv's defaults",
        "dwconv",
        method(make.OpMaker, "under", lambda right, maker, op: maker.defaults.get(op.name, make.OpDefaults())),
    ),
    Bug(
        "elaborate: `in` is the number of filters before last",
        "in ",
        method(Walker, "channels", lambda right, walker: right(walker) + 1),
    ),
    Bug(
        "elaborate: a size is legal that is one too small",
        "conv",
        method(SizeLimits, "free_sizes", lambda right, *args: tuple(replace_size(s) for s in right(*args))),
    ),
    Bug(
        "elaborate: a left-out node stands for the one before the last",
        "when",
        method(
            Walker,
            "_repeat",
            lambda right, walker, item, place, cursor, ctx: right(walker, item, place, max(cursor - 1, 0), ctx),
        ),
    ),
    Bug(
        "language: // rounds towards zero",
        "//",
        lambda: patch.dict(arithmetic.INTEGER, {"//": lambda a, b: a // b + 1}),
    ),  # type: ignore[arg-type]
    Bug(
        "printed source: a relu too much",
        "relu",
        method(
            check_module,
            "to_source",
            lambda right, *a: (
                right(*a).replace("nn.Tanh(", "nn.ReLU(").replace("return self.relu(", "return -self.relu(")
            ),
        ),
    ),
    Bug(
        "passes: a norm's eps is not folded",
        "bn",
        lambda: patch.object(
            fold_norms,
            "channel_map",
            lambda node, right=fold_norms.channel_map: (
                None if (m := right(node)) is None else replace(m, eps=0.1) if isinstance(node.op, ops.Bn) else m
            ),
        ),
    ),
    Bug(
        "passes: a shift is folded into padding",
        "bn",
        lambda: patch.object(
            fold_norms, "_foldable_before", lambda graph, node, found, right=fold_norms._foldable: right(graph, node)
        ),
    ),
]


def replace_size(size: Any) -> Any:
    return size._replace(minimum=size.minimum - size.step) if size.minimum > size.step else size


def mismatches(bug: Bug, seed: int) -> set[str]:
    """What the bug alone makes wrong in one network."""
    doc = specification(seed)
    with bug.plant():
        result = check(doc, seed, every=bug.every)
    found = {kind for kind, _ in result.mismatches} or ({f"refused: {result.rejected}"} if result.rejected else set())
    return found - {kind for kind, _ in check(doc, seed, every=bug.every).mismatches} if found else found


def tries_until_caught(bug: Bug, most: int = 200) -> tuple[int, int, str]:
    """How many networks it takes, the last one's number, and the kind of the mismatch; (0, 0, "") if it is never
    caught."""
    tried = 0
    for seed in SEEDS:
        if bug.word not in written(specification(seed), seed):
            continue
        tried += 1
        if found := mismatches(bug, seed):
            return tried, seed, min(found)
        if tried >= most:
            break
    return 0, 0, ""


# --- one wrong number -----------------------------------------------------------------------------------------


def misses_of_a_weight(seed: int) -> tuple[float, bool] | None:
    """One number of one tensor off by 1e-3 of itself: what that does to an output in float64, relative to the largest
    value, and whether a bound for float32 tells it: that of an output, or of a node. None where nothing is
    trained or outputs are not compared."""
    case = case_of(specification(seed), seed)
    feeds = case.feeds()
    with torch.no_grad():
        want = reference(case, feeds)
        keys = [
            t.key for t in case.graph.tensors if t.param.trained and not t.node.training and case.weights[t.key].any()
        ]
        if not keys or not want.comparable:
            return None
        rng = np.random.default_rng(seed)
        key = keys[rng.integers(len(keys))]
        wrong = dict(case.weights)
        wrong[key] = case.weights[key].copy()
        place = np.unravel_index(np.abs(wrong[key]).argmax(), wrong[key].shape)
        wrong[key][place] *= np.float32(1.001)
        module = module_of(case.graph, wrong)
        made = named(module(*(torch.from_numpy(x) for x in feeds.values())), want.outputs)
        nodes = compare_nodes(case.graph, case.weights, feeds, {"module": module_values(module, case.graph, feeds)})
        wide = named(module.double()(*(torch.from_numpy(x).double() for x in feeds.values())), want.outputs)
    effect, caught = 0.0, not nodes.passed
    for name, value in want.outputs.items():
        effect = max(effect, apart(wide[name], value) / max(float(value.abs().max()), 1e-300))
        caught = caught or apart(made[name], value) > want.bounds[name]
    return effect, caught


def main() -> int:
    from tests.search.networks.known import KNOWN

    missed, bugs = 0, [*KNOWN, *BUGS]
    for bug in bugs:
        tries, seed, kind = tries_until_caught(bug)
        missed += not tries
        print(f"{tries or 'NEVER':>6}  {bug.name}: {kind} (network {seed})", flush=True)
    print(f"{len(bugs) - missed} of {len(bugs)} caught; the number of networks with the word that it took")
    seen = [m for m in map(misses_of_a_weight, range(60_000, 60_300)) if m is not None]
    told = [m for m in seen if m[0] > 1e-5]
    print(
        f"one weight off by 1e-3: {len(seen)} networks, {len(told)} where an output moves by more than 1e-5 of itself,"
        f" {sum(caught for _, caught in told)} of these told; of the others {sum(c for e, c in seen if e <= 1e-5)} of"
        f" {len(seen) - len(told)}"
    )
    return 1 if missed else 0


__all__ = ["BUGS", "mismatches", "tries_until_caught"]

if __name__ == "__main__":
    sys.exit(main())
