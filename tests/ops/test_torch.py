"""Every op as a torch module, and where it is implied as an expression, against independent torch.

Tests `backends/torch/rules/activation.py`, `backends/torch/rules/conv.py`, `backends/torch/rules/merge.py`,
`backends/torch/rules/norm.py`, `backends/torch/rules/pool.py`, `backends/torch/rules/reduce.py`,
`backends/torch/rules/reshape.py` and `backends/torch/rules/parts.py`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import archdsl
from archdsl import ops
from archdsl.backends.torch import to_source
from archdsl.backends.torch.lower import SIGNATURES, TABLE, lower
from archdsl.graph import Graph
from archdsl.ops.base import Op, OpError
from archdsl.shapes import Shape, concrete
from tests.ops.cases import CASES, Case, padded
from tests.support.handmade import Hand

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn

from archdsl.backends.torch.module import build, to_torch  # noqa: E402

Tensors = dict[str, Any]
Expected = Callable[..., Any]
IMAGE = (6, 9, 8)


def one(op: Op, shapes: Sequence[Shape], path: str = "n") -> Graph:
    hand = Hand()
    for number, shape in enumerate(shapes):
        hand.input(f"x{number}", shape)
    hand.put(path, op, *(f"x{number}" for number in range(len(shapes))))
    return hand.graph()


def tensors(graph: Graph) -> Tensors:
    random = torch.Generator().manual_seed(3)
    return {
        t.key: torch.tensor(7)
        if t.param.dtype == "int64"
        else torch.rand(t.param.shape, generator=random, dtype=torch.float64) + 0.5
        for t in graph.tensors
    }


def inputs(graph: Graph) -> list[Any]:
    random = torch.Generator().manual_seed(5)
    shapes = [concrete(graph.nodes[i].shape) for i in graph.inputs]
    return [torch.randn(2, *shape, generator=random, dtype=torch.float64) for shape in shapes]


def op_of(case: Case) -> Op:
    return archdsl.loads(case.spec).graph.by_path["n"].op


def printed(graph: Graph) -> Any:
    """The printed network, built."""
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(to_source(graph), "printed", "exec"), space)
    return space["build"]()


def check(op: Op, shapes: Sequence[Shape], expected: Expected) -> None:
    """The module, its printed source, and, where the op may be implied, its expression: all as expected."""
    graph = one(op, shapes)
    weights, given = tensors(graph), inputs(graph)
    live, source = build(graph, "cpu").double().eval(), printed(graph).double().eval()
    assert set(live.state_dict()) == {t.key for t in graph.tensors}
    live.load_state_dict(weights, strict=True)
    source.load_state_dict(weights, strict=True)
    wanted = expected(*given, **{key.removeprefix("n").lstrip(".") or "n": value for key, value in weights.items()})
    for network in (live, source):
        with torch.no_grad():
            made = network(*given)
        assert tuple(made.shape[1:]) == concrete(graph.nodes[-1].shape) == tuple(wanted.shape[1:])
        torch.testing.assert_close(made, wanted, rtol=1e-12, atol=1e-13)
    if not weights:
        implied = one(op, shapes, "/n")
        with torch.no_grad():
            torch.testing.assert_close(to_torch(implied).double()(*given), wanted, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(printed(implied).double().eval()(*given), wanted, rtol=1e-12, atol=1e-13)


def test_a_rule_for_each_op() -> None:
    assert set(TABLE) == set(ops.GRAPH_OPS)


TABLE_ROWS = ((0, 1), (2,), (1, 3, 5))


@pytest.mark.parametrize("pad", [None, (1, 0, 2, 1)])
@pytest.mark.parametrize("bias", [True, False, 0.5, (1.0, 2.0, 3.0)])
def test_partial_connections(pad: Any, bias: Any) -> None:
    op = ops.Conv(out=3, kernel=(3, 2), pad=pad, bias=bias, table=TABLE_ROWS).settle([IMAGE])

    def expected(x: Any, weight: Any, bias: Any = None) -> Any:
        x = padded(x, op.pads(IMAGE))
        kernels, maps = iter(weight), []
        for row in TABLE_ROWS:
            maps.append(sum(F.conv2d(x[:, [m]], next(kernels)[None, None]) for m in row))
        sums = torch.cat(maps, 1)
        return sums if bias is None else sums + bias[:, None, None]

    check(op, [IMAGE], expected)


EDGES = ((-1.0, -1.0, -1.0), (-1.0, 8.0, -1.0), (-1.0, -1.0, -1.0))


@pytest.mark.parametrize("bias", [True, False, 0.5, (1.0, 2.0)])
@pytest.mark.parametrize("pad", [None, (0, 1, 1, 0)])
@pytest.mark.parametrize("weight", [None, EDGES])
def test_fixed_numbers(bias: Any, pad: Any, weight: Any) -> None:
    graph = one(ops.Conv(out=2, kernel=3, bias=bias, pad=pad, weight=weight), [IMAGE])
    fixed = {t.key: t.param for t in graph.tensors if not t.param.trained}
    x = torch.randn(2, *IMAGE)
    live, source = to_torch(graph), printed(graph)
    for network in (live, source):
        assert {k for k, p in network.named_parameters() if not p.requires_grad} == set(fixed)
        state = network.state_dict()
        kernel = torch.tensor(EDGES).expand(2, 6, 3, 3) if weight else state["n.weight"]
        assert torch.equal(state["n.weight"], kernel)
        if bias is not True and bias is not False:
            assert torch.equal(state["n.bias"], torch.tensor(bias).expand(2))
        wanted = F.conv2d(padded(x, pad or (1, 1, 1, 1)), kernel, state.get("n.bias"))
        torch.testing.assert_close(network(x), wanted)


def pool_cases() -> list[Op]:
    pads: list[Any] = [0, 1, 2, "same", (1, 0, 0, 1), (0, 1, 2, 1), (2, 2, 0, 0)]
    made: list[Op] = []
    for kernel, stride, pad, ceil in itertools.product([2, 3, (3, 2)], [1, 2, 3, (2, 3)], pads, [False, True]):
        made.append(ops.MaxPool(kernel=kernel, stride=stride, pad=pad, ceil=ceil))
        made += [
            ops.AvgPool(kernel=kernel, stride=stride, pad=pad, ceil=ceil, inside=inside) for inside in (False, True)
        ]
    made += [
        ops.MaxPool(kernel=3, stride=2, pad=pad, dilation=2, ceil=ceil)
        for pad in (0, 1, (1, 0, 2, 1))
        for ceil in (False, True)
    ]
    return [op.settle([(2, 7, 8)]) for op in made]


def windows(x: Any, op: Any, shape: Shape, output: Shape) -> Any:
    """Each pool window's pixels, and which of them are real, padding written, or beyond: by hand, one by one."""
    pads, (kh, kw), (sh, sw), (dh, dw) = op.pads(shape), op.kernel, op.steps, op.dilations
    rows, columns = concrete(output)[1:]
    (top, left), (bottom, right) = pads.begins, pads.ends
    _, height, width = concrete(shape)
    for i, j in itertools.product(range(rows), range(columns)):
        places = [(i * sh - top + a * dh, j * sw - left + b * dw) for a in range(kh) for b in range(kw)]
        inside = [(r, c) for r, c in places if 0 <= r < height and 0 <= c < width]
        counted = [(r, c) for r, c in places if r < height + bottom and c < width + right]
        yield i, j, inside, len(counted)


def test_pools() -> None:
    done = 0
    for op in pool_cases():
        shape = (2, 7, 8)
        try:
            output = op.infer([shape])
        except OpError:
            continue

        def expected(x: Any, op: Any = op, shape: Shape = shape, output: Shape = output) -> Any:
            y = torch.empty(2, *concrete(output), dtype=x.dtype)
            for i, j, inside, counted in windows(x, op, shape, output):
                seen = torch.stack([x[:, :, r, c] for r, c in inside])
                if isinstance(op, ops.MaxPool):
                    y[:, :, i, j] = seen.amax(0)
                else:
                    y[:, :, i, j] = seen.sum(0) / (len(inside) if op.inside else counted)
            return y

        graph = one(op, [shape])
        x = inputs(graph)[0]
        wanted = expected(x)
        torch.testing.assert_close(to_torch(graph)(x), wanted, rtol=1e-12, atol=1e-13)
        done += 1
    assert done > 300


@pytest.mark.parametrize("op", pool_cases()[::23], ids=repr)
def test_pools_printed_and_implied(op: Op) -> None:
    try:
        op.infer([(2, 7, 8)])
    except OpError:
        pytest.skip("no such pool")
    graph = one(op, [(2, 7, 8)])
    check(op, [(2, 7, 8)], to_torch(graph))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text} {case.inputs}")
def test_op(case: Case) -> None:
    check(op_of(case), case.inputs, case.expression)


def test_constants_are_exact_in_double() -> None:
    graph = one(ops.Affine(mul=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)), [IMAGE])
    x = torch.ones(1, *IMAGE, dtype=torch.float64)
    assert to_torch(graph).double()(x)[0, :, 0, 0].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize("path", ["n", "/n"])
def test_dropout_drops_in_training_only(path: str) -> None:
    network = to_torch(one(ops.Dropout(p=0.25), [(1000,)], path))
    x = torch.ones(8, 1000)
    assert torch.equal(network(x), x)
    torch.manual_seed(0)
    made = network.train()(x)
    assert set(made.unique().tolist()) == {0.0, x[0, 0].div(0.75).item()}
    assert made.mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("path", ["n", "/n"])
def test_droppath_drops_whole_samples(path: str) -> None:
    network = to_torch(one(ops.DropPath(p=0.25), [(4, 2, 2)], path)).train()
    torch.manual_seed(0)
    made = network(torch.ones(2000, 4, 2, 2)).flatten(1)
    assert torch.equal(made.amin(1), made.amax(1))
    assert set(made.unique().tolist()) == {0.0, torch.ones(()).div(0.75).item()}
    assert made.mean().item() == pytest.approx(1, abs=0.05)


def test_batch_norm_learns_its_statistics() -> None:
    network = to_torch(one(ops.Bn(momentum=0.2), [IMAGE])).train()
    x = torch.randn(4, *IMAGE) + 3
    network(x)
    state = network.state_dict()
    torch.testing.assert_close(state["n.running_mean"], 0.2 * x.mean((0, 2, 3)))
    torch.testing.assert_close(state["n.running_var"], 0.8 + 0.2 * x.transpose(0, 1).flatten(1).var(1))
    assert state["n.num_batches_tracked"] == 1


@pytest.mark.parametrize("case", [case for case in CASES if len(case.inputs) == 1], ids=lambda case: case.text)
def test_nothing_works_in_place(case: Case) -> None:
    graph = one(op_of(case), case.inputs)
    x = torch.randn(2, *case.inputs[0])
    kept = x.clone()
    with torch.no_grad():
        to_torch(graph).train()(x)
    assert torch.equal(x, kept)


def test_norms_have_the_defaults_of_torch() -> None:
    theirs = nn.BatchNorm2d(4)
    assert (ops.Bn().eps, ops.Bn().momentum, ops.Bn().affine) == (theirs.eps, theirs.momentum, theirs.affine)
    assert ops.Gn().eps == nn.GroupNorm(2, 4).eps and ops.Ln().eps == nn.LayerNorm(4).eps
    lrn, torchs = ops.Lrn(), nn.LocalResponseNorm(5)
    assert (lrn.alpha, lrn.beta, lrn.k) == (torchs.alpha, torchs.beta, torchs.k)


MODULES = {
    module.target: module for case in CASES if (module := lower(op_of(case), case.inputs).module) and module.arguments
}


def test_every_module_with_arguments_has_a_signature() -> None:
    assert set(MODULES) <= set(SIGNATURES)


@pytest.mark.parametrize("target", [target for target in MODULES if target.startswith("nn.")])
def test_signatures_are_those_of_torch(target: str) -> None:
    """What is left out has the default of torch, and what has no name stands where torch has it."""
    theirs = inspect.signature(getattr(nn, target.removeprefix("nn."))).parameters
    signature, written = SIGNATURES[target], [name for name, _ in MODULES[target].arguments]
    for name, value in signature.defaults.items():
        assert name not in theirs or theirs[name].default == value, name
    assert written[: signature.positional] == [*theirs][: signature.positional]
