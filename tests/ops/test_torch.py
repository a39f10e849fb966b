"""Every op as a torch module, and where it is implied as an expression, against independent torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from archdsl import ops
from archdsl.backends.torch import to_source
from archdsl.backends.torch.lower import TABLE
from archdsl.graph import Graph
from archdsl.ops.base import Op, OpError
from archdsl.shapes import Shape, concrete
from tests.support.handmade import Hand

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn

from archdsl.backends.torch.module import build, to_torch  # noqa: E402

Tensors = dict[str, Any]
Expected = Callable[..., Any]
IMAGE, VECTOR = (6, 9, 8), (6,)


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


def padded(x: Any, pads: Sequence[int], value: float = 0.0) -> Any:
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


CONVS: list[tuple[Op, Expected]] = [
    (ops.Conv(out=4, kernel=3), lambda x, weight, bias: F.conv2d(x, weight, bias, padding=1)),
    (
        ops.Conv(out=4, kernel=(3, 5), stride=(2, 1), bias=False),
        lambda x, weight: F.conv2d(x, weight, None, (2, 1), (1, 2)),
    ),
    (ops.Conv(out=4, kernel=2), lambda x, weight, bias: F.conv2d(x, weight, bias)),
    (ops.Conv(out=6, kernel=3, dilation=2, groups=3), lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 2, 2, 3)),
    (
        ops.Conv(out=4, kernel=3, stride=2, pad="same"),
        lambda x, weight, bias: F.conv2d(padded(x, (1, 0, 1, 1)), weight, bias, 2),
    ),
    (
        ops.Conv(out=4, kernel=3, pad=(2, 0, 1, 3)),
        lambda x, weight, bias: F.conv2d(padded(x, (2, 0, 1, 3)), weight, bias),
    ),
    (ops.DwConv(kernel=3, multiplier=2), lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 1, 1, 6)),
    (ops.Deconv(out=4, kernel=2, stride=2), lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2)),
    (ops.Deconv(out=4, kernel=3, stride=2), lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1, 1)),
    (
        ops.Deconv(out=4, kernel=(4, 3), stride=(2, 1), groups=2, pad=1, bias=False),
        lambda x, weight: F.conv_transpose2d(x, weight, None, (2, 1), 1, 0, 2),
    ),
    (ops.Fc(out=5, kernel=1), lambda x, weight, bias: F.conv2d(x, weight[:, :, None, None], bias)),
]


@pytest.mark.parametrize(("op", "expected"), CONVS, ids=lambda v: repr(v)[:50] if isinstance(v, Op) else "")
def test_convolutions(op: Op, expected: Expected) -> None:
    check(op, [IMAGE], expected)


TABLE_ROWS = ((0, 1), (2,), (1, 3, 5))


@pytest.mark.parametrize("pad", [None, (1, 0, 2, 1)])
@pytest.mark.parametrize("bias", [True, False, 0.5, (1.0, 2.0, 3.0)])
def test_partial_connections(pad: Any, bias: Any) -> None:
    op = ops.Conv(out=3, kernel=(3, 2), pad=pad, bias=bias, table=TABLE_ROWS)

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
    return made


def windows(x: Any, op: Any, shape: Shape, output: Shape) -> Any:
    """Each pool window's pixels, and which of them are real, padding written, or beyond: by hand, one by one."""
    pads, (kh, kw), (sh, sw), (dh, dw) = op.pads(shape), op.kernel, op.steps, op.dilations
    rows, columns = concrete(output)[1:]
    _, height, width = concrete(shape)
    for i, j in itertools.product(range(rows), range(columns)):
        places = [(i * sh - pads.top + a * dh, j * sw - pads.left + b * dw) for a in range(kh) for b in range(kw)]
        inside = [(r, c) for r, c in places if 0 <= r < height and 0 <= c < width]
        counted = [(r, c) for r, c in places if r < height + pads.bottom and c < width + pads.right]
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


def lrn(x: Any) -> Any:
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, n : n + x.shape[1]] for n in range(5))
    return x / (2 + 5e-4 / 5 * total) ** 0.75


def norm(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()


def per_channel(x: Any, values: Any) -> Any:
    return values.view(-1, *[1] * (x.dim() - 2))


def bn(x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, **_: Any) -> Any:
    y = (x - per_channel(x, running_mean)) / (per_channel(x, running_var) + 1e-3).sqrt()
    return y if weight is None else y * per_channel(x, weight) + per_channel(x, bias)


def gn(x: Any, weight: Any, bias: Any) -> Any:
    y = norm(x.reshape(2, 3, 2, -1), (2, 3), 1e-5).reshape(x.shape)
    return y * per_channel(x, weight) + per_channel(x, bias)


def ln(x: Any, weight: Any, bias: Any) -> Any:
    return norm(x, (1,), 1e-6) * per_channel(x, weight) + per_channel(x, bias)


BOTH = (IMAGE, VECTOR)
CASES: list[tuple[Op, Sequence[Shape], Expected]] = [
    *((ops.Bn(eps=1e-3), (s,), bn) for s in BOTH),
    *((ops.Bn(eps=1e-3, affine=False), (s,), bn) for s in BOTH),
    (ops.Gn(groups=3), (IMAGE,), gn),
    (ops.Gn(groups=3), (VECTOR,), gn),
    *((ops.Ln(eps=1e-6), (s,), ln) for s in BOTH),
    (ops.Lrn(alpha=5e-4, k=2.0), (IMAGE,), lrn),
    *((ops.Relu(), (s,), lambda x: x.clamp(min=0)) for s in BOTH),
    (ops.Relu6(), (IMAGE,), lambda x: x.clamp(0, 6)),
    (ops.LeakyRelu(slope=0.2), (IMAGE,), lambda x: torch.where(x > 0, x, 0.2 * x)),
    (ops.PRelu(), (IMAGE,), lambda x, weight: torch.where(x > 0, x, per_channel(x, weight) * x)),
    (ops.PRelu(shared=True), (VECTOR,), lambda x, weight: torch.where(x > 0, x, weight * x)),
    (ops.Elu(alpha=0.7), (IMAGE,), lambda x: torch.where(x > 0, x, 0.7 * (x.exp() - 1))),
    (ops.Tanh(), (IMAGE,), lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    (ops.ScaledTanh(), (IMAGE,), lambda x: 1.7159 * (x * (2 / 3)).tanh()),
    (ops.Sigmoid(), (IMAGE,), lambda x: 1 / (1 + (-x).exp())),
    (ops.Silu(), (IMAGE,), lambda x: x / (1 + (-x).exp())),
    (ops.Gelu(), (IMAGE,), lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2),
    (ops.Gelu(approximate=True), (IMAGE,), lambda x: x * (1 + (0.7978845608028654 * (x + 0.044715 * x**3)).tanh()) / 2),
    (ops.HardSwish(), (IMAGE,), lambda x: x * (x + 3).clamp(0, 6) / 6),
    (ops.HardSigmoid(), (IMAGE,), lambda x: (x + 3).clamp(0, 6) / 6),
    *((ops.Softmax(), (s,), lambda x: x.exp() / x.exp().sum(1, keepdim=True)) for s in BOTH),
    (ops.Dropout(p=0.4), (IMAGE,), lambda x: x),
    (ops.DropPath(p=0.4), (IMAGE,), lambda x: x),
    (ops.Identity(), (IMAGE,), lambda x: x),
    (ops.Add(), (IMAGE, IMAGE, IMAGE), lambda a, b, c: a + b + c),
    (ops.Mul(), (IMAGE, (6, 1, 1)), lambda a, b: torch.einsum("nchw,nc->nchw", a, b[:, :, 0, 0])),
    (ops.Mul(), (VECTOR, VECTOR), lambda a, b: torch.einsum("nc,nc->nc", a, b)),
    (ops.Concat(), (IMAGE, (2, 9, 8)), lambda a, b: torch.stack([*a.unbind(1), *b.unbind(1)], 1)),
    (ops.Concat(), (VECTOR, (2,)), lambda a, b: torch.stack([*a.unbind(1), *b.unbind(1)], 1)),
    (ops.Flatten(), (IMAGE,), lambda x: x.reshape(2, -1)),
    (ops.Slice(start=1, end=4), (IMAGE,), lambda x: torch.stack([x[:, 1], x[:, 2], x[:, 3]], 1)),
    (ops.Slice(start=4), (VECTOR,), lambda x: torch.stack([x[:, 4], x[:, 5]], 1)),
    (ops.Shuffle(groups=3), (IMAGE,), lambda x: x[:, [0, 2, 4, 1, 3, 5]]),
    (ops.Upsample(scale=(2, 3)), (IMAGE,), lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, 3)),
    (ops.Upsample(scale=2, mode="bilinear"), (IMAGE,), lambda x: F.interpolate(x, size=(18, 16), mode="bilinear")),
    (ops.Pad(pixels=2), (IMAGE,), lambda x: padded(x, (2, 2, 2, 2))),
    (ops.Pad(pixels=(1, -2, 0, 3), value=1.5), (IMAGE,), lambda x: padded(x[:, :, :, 2:], (1, 0, 0, 3), 1.5)),
    (
        ops.Pad(channels=(1, 2), pixels=(0, 1, 0, 0)),
        (IMAGE,),
        lambda x: F.pad(padded(x, (0, 1, 0, 0)), (0, 0, 0, 0, 1, 2)),
    ),
    (ops.Gap(), (IMAGE,), lambda x: x.sum((2, 3), keepdim=True) / 72),
    (ops.AvgPool(kernel=(3, 2), adaptive=True), (IMAGE,), lambda x: x.reshape(2, 6, 3, 3, 2, 4).mean((3, 5))),
    (ops.AvgPool(kernel=5, adaptive=True), (IMAGE,), lambda x: F.adaptive_avg_pool2d(x, 5)),
    (
        ops.Subsample(kernel=2),
        (IMAGE,),
        lambda x, weight, bias: (
            F.unfold(x, 2, stride=2).reshape(2, 6, 4, 4, 4).sum(2) * per_channel(x, weight) + per_channel(x, bias)
        ),
    ),
    (ops.Fc(out=5), (VECTOR,), lambda x, weight, bias: torch.einsum("nc,oc->no", x, weight) + bias),
    (ops.Fc(out=5, bias=False), (VECTOR,), lambda x, weight: torch.einsum("nc,oc->no", x, weight)),
    (ops.Rbf(out=3), (VECTOR,), lambda x, weight: torch.stack([(x - w).pow(2).sum(1) for w in weight], 1)),
    (
        ops.Rbf(out=2, centers=((1.0,) * 6, (-1.0,) * 6)),
        (VECTOR,),
        lambda x, weight: torch.stack([(x - w).pow(2).sum(1) for w in weight], 1),
    ),
    (ops.Scale(init=0.5), (IMAGE,), lambda x, n: torch.einsum("nchw,c->nchw", x, n[:, 0, 0])),
    (ops.Scale(), (VECTOR,), lambda x, n: x * n),
    (ops.Affine(mul=0.3), (IMAGE,), lambda x: x * 0.3),
    (ops.Affine(mul=0.3, add=-1.0), (VECTOR,), lambda x: x * 0.3 - 1),
    (ops.Affine(), (VECTOR,), lambda x: x),
    (
        ops.Affine(mul=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), add=0.5),
        (IMAGE,),
        lambda x: torch.stack([x[:, c] * (c + 1) + 0.5 for c in range(6)], 1),
    ),
    (
        ops.Affine(mul=2.0, add=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),
        (VECTOR,),
        lambda x: torch.stack([x[:, c] * 2 + c for c in range(6)], 1),
    ),
]


@pytest.mark.parametrize(("op", "shapes", "expected"), CASES, ids=lambda v: repr(v)[:50] if isinstance(v, Op) else "")
def test_op(op: Op, shapes: Sequence[Shape], expected: Expected) -> None:
    check(op, shapes, expected)


def test_every_op_is_tested() -> None:
    tested = {type(op) for op, *_ in (*CONVS, *CASES)} | {type(op) for op in pool_cases()} | {ops.Input}
    assert tested - {ops.DwConv} == set(ops.GRAPH_OPS)


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


@pytest.mark.parametrize(
    ("op", "shape"),
    [(op, shapes[0]) for op, shapes, _ in CASES if len(shapes) == 1] + [(op, IMAGE) for op, _ in CONVS],
    ids=lambda v: repr(v)[:40],
)
def test_nothing_works_in_place(op: Op, shape: Shape) -> None:
    graph = one(op, [shape])
    x = torch.randn(2, *concrete(shape))
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
