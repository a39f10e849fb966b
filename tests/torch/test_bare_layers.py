"""Layers without tensors, bare, in every composite: the module, the printed source and the ONNX file compute the same
as the composite written by hand in torch, in both modes.

Tests `backends/torch/program.py` and `elaborate/composites.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.ops import OPS_BY_NAME, Merge, Sugar

torch = pytest.importorskip("torch")
F = torch.nn.functional

from archdsl.backends.torch import to_source  # noqa: E402
from archdsl.backends.torch.module import to_torch  # noqa: E402

CHANNELS, HEIGHT, WIDTH = 4, 15, 14


Layer = Callable[[Any, bool], Any]
"""A layer of a tensor, and whether it is in training."""


def droppath(x: Any, training: bool) -> Any:
    if not training:
        return x
    return x * x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(0.7) / 0.7


def plain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Layer:
    return lambda x, training: function(x, *args, **kwargs)


def sliced(x: Any, start: int, end: int) -> Any:
    return x.narrow(1, start, end - start)


def blurred(x: Any, stride: int) -> Any:
    row = torch.tensor([0.25, 0.5, 0.25])
    filters = (row[:, None] * row).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), filters, stride=stride, groups=x.shape[1])


LAYERS: dict[str, Layer] = {
    "dropout 0.5": lambda x, training: F.dropout(x, 0.5, training),
    "droppath 0.3": droppath,
    "relu": plain(torch.relu),
    "relu6": plain(F.relu6),
    "leaky_relu 0.1": plain(F.leaky_relu, 0.1),
    "elu 0.5": plain(F.elu, 0.5),
    "tanh": plain(torch.tanh),
    "scaled_tanh": plain(lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    "sigmoid": plain(torch.sigmoid),
    "silu": plain(F.silu),
    "gelu": plain(F.gelu),
    "hardswish": plain(F.hardswish),
    "hardsigmoid": plain(F.hardsigmoid),
    "abs": plain(torch.abs),
    "hardsigmoid alpha=0.2 beta=0.25": plain(lambda x: F.hardtanh(0.2 * x + 0.25, 0.0, 1.0)),
    "selu": plain(F.selu),
    "celu 0.5": plain(F.celu, 0.5),
    "softplus beta=2": plain(F.softplus, 2.0),
    "softsign": plain(F.softsign),
    "mish": plain(F.mish),
    "clip -0.5 2": plain(F.hardtanh, -0.5, 2.0),
    "log_softmax": plain(F.log_softmax, 1),
    "softmax": plain(torch.softmax, 1),
    "softmax space": plain(lambda x: x.flatten(2).softmax(2).reshape(x.shape)),
    "3x3 maxpool /1 pad=1": plain(F.max_pool2d, 3, 1, 1),
    "2x2 maxpool": plain(F.max_pool2d, 2),
    "3x3 avgpool /1 same": plain(F.avg_pool2d, 3, 1, 1),
    "3x3 avgpool /1 pad=1 inside": plain(F.avg_pool2d, 3, 1, 1, False, False),
    "gap": plain(F.adaptive_avg_pool2d, 1),
    "gmp": plain(F.adaptive_max_pool2d, 1),
    "mean channels": plain(torch.mean, 1, True),
    "max space": plain(torch.amax, (2, 3), True),
    "sum channels": plain(torch.sum, 1, True),
    "l2 channels": plain(torch.linalg.vector_norm, dim=1, keepdim=True),
    "instancenorm": plain(F.instance_norm),
    "lrn": plain(F.local_response_norm, 5),
    "flatten": plain(torch.flatten, 1),
    "slice 1 3": plain(sliced, 1, 3),
    "slice 0 4": plain(sliced, 0, 4),
    "shuffle 2": plain(F.channel_shuffle, 2),
    "3x3 blurpool /1": plain(lambda x: blurred(x, 1)),
    "3x3 blurpool": plain(lambda x: blurred(x, 2)),
    "pixelshuffle 2": plain(F.pixel_shuffle, 2),
    "pixelunshuffle 1": plain(F.pixel_unshuffle, 1),
    "upsample 2": plain(F.interpolate, scale_factor=2),
    "pad 1": plain(F.pad, (1, 1, 1, 1)),
    "pad -1": plain(F.pad, (-1, -1, -1, -1)),
    "pad [1,0,-1,0]": plain(F.pad, (0, 0, 1, -1)),
    "pad channels=[1,2]": plain(F.pad, (0, 0, 0, 0, 1, 2)),
    "identity": plain(lambda x: x),
    "affine 2 add=1": plain(lambda x: x * 2 + 1),
}


def test_every_op_without_tensors_is_here() -> None:
    kinds = {word for text in LAYERS for word in text.split()}
    graph_ops = {name for name, op in OPS_BY_NAME.items() if not issubclass(op, (Sugar, Merge))}
    assert graph_ops - kinds == {name for name in graph_ops if OPS_BY_NAME[name].parametric} - {"instancenorm"}


Run = Callable[[Any], Any]
Composite = Callable[[Run, Any], Any]
"""The output of a composite of a layer, for an input."""


def dense(f: Run, x: Any, count: int = 2) -> Any:
    for _ in range(count):
        x = torch.cat((x, f(x)), 1)
    return x


def residual(f: Run, x: Any, scale: float = 1.0) -> Any:
    """With `shortcut: if_same_shape`."""
    y = f(x)
    return y * scale + x if y.shape == x.shape else y * scale


def padded(f: Run, x: Any) -> Any:
    """With `shortcut: pad`: its stride is that of the layer, 2 if it has one."""
    y = f(x)
    if y.dim() != 4 or y.shape[1] < x.shape[1] or y.shape[2] > x.shape[2]:
        raise RuntimeError("no such shortcut")
    stride = 1 if y.shape[2] == x.shape[2] else 2
    short = x[:, :, ::stride, ::stride]
    return added(y, F.pad(short, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))


def joined(*outputs: Any) -> Any:
    return torch.cat(outputs, 1)


def added(first: Any, second: Any) -> Any:
    if first.shape != second.shape:
        raise RuntimeError("an addition does not broadcast")
    return first + second


def multiplied(first: Any, second: Any) -> Any:
    if torch.broadcast_shapes(first.shape, second.shape) not in (first.shape, second.shape):
        raise RuntimeError("no input has the full shape")
    return first * second


def times(count: int, f: Run, x: Any) -> Any:
    for _ in range(count):
        x = f(x)
    return x


def parts(f: Run, x: Any) -> Any:
    low, high = x.chunk(2, 1)
    return joined(f(low), high)


def read_twice(f: Run, x: Any) -> Any:
    y = f(x)
    return added(y, torch.relu(y))


def crossed(f: Run, x: Any) -> Any:
    """Two layers of one input, of which the second is flattened."""
    a, b = f(x), f(x)
    return torch.relu(joined(b.flatten(1), a.flatten(1)))


BLOCKS = 'blocks: {one: "%s", two: {p: "%s", q: "%s"}, thick: {d: "dense 2 * %s"}}\n'

COMPOSITES: dict[str, Composite] = {
    'net: ["%s"]': partial(times, 1),
    'net: {a: "%s", b: "%s"}': partial(times, 2),
    'net: [["%s"], [["%s"]]]': partial(times, 2),
    'net: {p.a: "%s", p.b: "%s"}': partial(times, 2),
    'net: {a: "dense 2 * %s"}': dense,
    'net: {a: {dense: "%s", repeat: 3, as: "l{1}"}}': partial(dense, count=3),
    'net: {a: {dense: ["%s", "%s"], repeat: 2}}': lambda f, x: dense(partial(times, 2, f), x),
    'net: {a: {dense: {p: "%s", q: "%s"}, repeat: 2}}': lambda f, x: dense(partial(times, 2, f), x),
    'net: {a: {dense: {residual: "%s", shortcut: if_same_shape}, repeat: 2}}': lambda f, x: dense(
        partial(residual, f), x
    ),
    'net: {a: {dense: {branches: ["%s", "%s"], merge: add}, repeat: 2}}': lambda f, x: dense(
        lambda y: added(f(y), f(y)), x
    ),
    'net: {r: relu, a: "dense 2 * %s", b: "dense 1 * %s"}': lambda f, x: dense(f, dense(f, torch.relu(x)), 1),
    'net: {a: {residual: "%s", shortcut: if_same_shape}}': residual,
    'net: {a: {residual: {p: "%s"}, shortcut: if_same_shape, scale: 0.5}}': partial(residual, scale=0.5),
    'net: {a: {residual: ["%s", "%s"], shortcut: if_same_shape, then: relu}}': lambda f, x: torch.relu(
        residual(partial(times, 2, f), x)
    ),
    'net: {a: {residual: "%s", shortcut: none}}': partial(times, 1),
    'net: {a: {residual: "%s", shortcut: pad}}': padded,
    'net: {a: {residual: tanh, then: "%s"}}': lambda f, x: f(torch.tanh(x) + x),
    'net: {a: {inception: ["%s", identity]}}': lambda f, x: joined(f(x), x),
    'net: {a: {inception: [identity, "%s"]}}': lambda f, x: joined(x, f(x)),
    'net: {a: {inception: {p: "%s", q: "%s"}}}': lambda f, x: joined(f(x), f(x)),
    'net: {a: {branches: ["%s", "%s"], merge: add}}': lambda f, x: added(f(x), f(x)),
    'net: {a: {branches: ["%s", identity], merge: mul}}': lambda f, x: multiplied(f(x), x),
    'net: {a: {branches: ["%s", identity], split: 2}}': parts,
    'net: {a: {branches: [tanh, relu], then: "%s"}}': lambda f, x: f(joined(torch.tanh(x), torch.relu(x))),
    'net: {a: "3 * %s"}': partial(times, 3),
    'net: ["3 * %s"]': partial(times, 3),
    'net: {a: {do: "%s", repeat: 2, as: "b{0}"}}': partial(times, 2),
    'net: {a: {do: "%s", then: relu}}': lambda f, x: torch.relu(f(x)),
    'net: {a: {do: relu, then: "%s"}}': lambda f, x: f(torch.relu(x)),
    'net: {a: {do: "%s", when: true}, b: {do: relu, when: false}}': partial(times, 1),
    'net: {a: "%s", b: "%s <- input", c: "concat <- b, a"}': lambda f, x: (lambda a, b: joined(b, a))(f(x), f(x)),
    'net: {t: {a: "%s", b: relu}, s: "add <- t.a, t"}': read_twice,
    'net: {r: relu, t: {a: "%s", f: flatten, r: relu}}': lambda f, x: torch.relu(f(torch.relu(x)).flatten(1)),
    'net: {r: relu, t: {a: "%s", b: "%s <- r", f: flatten <- b, g: flatten <- a, c: "concat <- f, g", r: relu}}': (
        lambda f, x: crossed(f, torch.relu(x))
    ),
    'net: {r: relu, t: {a: "%s", c: {inception: ["%s", identity]}, r: relu}}': lambda f, x: torch.relu(
        (lambda y: joined(f(y), y))(f(torch.relu(x)))
    ),
    BLOCKS + "net: {a: one, b: 2 * one}": partial(times, 3),
    BLOCKS + "net: [two, 2 * two]": partial(times, 6),
    BLOCKS + "net: {a: dense 2 * one}": dense,
    BLOCKS + "net: {a: dense 2 * two}": lambda f, x: dense(partial(times, 2, f), x),
    BLOCKS + "net: {a: thick, b: thick}": lambda f, x: dense(f, dense(f, x)),
    BLOCKS
    + "net: {a: {residual: one, shortcut: if_same_shape}, b: {residual: two, shortcut: if_same_shape}}": lambda f, x: (
        residual(partial(times, 2, f), residual(f, x))
    ),
    BLOCKS + "net: {a: {inception: [one, two]}}": lambda f, x: joined(f(x), times(2, f, x)),
}
REFUSALS = {"E0401", "E0402", "E0405", "E0409", "E0412", "E0413", "E0415", "E0417", "E0418", "E0403", "E0504"}
"""Shapes that do not fit, and a norm where nothing names it."""


def printed(graph: Any) -> Any:
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(to_source(graph), "printed", "exec"), space)
    return space["build"]()


def spec_of(composite: str, layer: str) -> str:
    return f"name: net\ninput: {CHANNELS}x{HEIGHT}x{WIDTH}\n" + composite.replace("%s", layer)


def outputs(network: Callable[[Any], Any], x: Any) -> Any:
    torch.manual_seed(3)
    return network(x)


def problems(text: str, by_hand: Callable[[Any, bool], Any], x: Any, folder: Path) -> list[str] | None:
    """What of a spec computes something else; None: the composite is refused, and torch refuses it, too."""
    try:
        expected = outputs(partial(by_hand, training=False), x)
    except RuntimeError:
        expected = None
    try:
        network = archdsl.loads(text)
    except ArchError as e:
        codes = {d.code for d in e.diagnostics}
        return None if codes <= ({"E0504"} if expected is not None else REFUSALS) else [str(e)]
    if expected is None:
        return ["accepted, although torch cannot compute it"]
    found = []
    for name, made in (("module", to_torch(network.graph)), ("source", printed(network.graph))):
        for training in (False, True):
            try:
                y = outputs(made.train(training), x)
            except Exception as e:
                found.append(f"{name}, training {training}: {e}")
                continue
            if not torch.equal(y, outputs(partial(by_hand, training=training), x)):
                found.append(f"{name}, training {training}: wrong")
    network.to_onnx(path := folder / "net.onnx", force=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (ort,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    if not np.allclose(ort, expected.numpy(), rtol=1e-5, atol=1e-5):
        found.append("ONNX: wrong")
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_bare_layer(layer: str, tmp_path: Path) -> None:
    x = torch.randn(3, CHANNELS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    ran, wrong = 0, []
    for composite, reference in COMPOSITES.items():

        def by_hand(x: Any, training: bool, reference: Composite = reference) -> Any:
            return reference(lambda y: LAYERS[layer](y, training), x)

        text = spec_of(composite, layer)
        found = problems(text, by_hand, x, tmp_path)
        ran += found is not None
        wrong += [f"{text}: {problem}" for problem in found or ()]
    assert not wrong, "\n".join(wrong)
    assert ran >= 8


def test_a_flatten_is_moved_before_its_own_dropouts_only() -> None:
    """Two dropouts of one input, of which a fully connected layer reads the first."""
    graph = archdsl.loads(
        'input: 4x3x3\nnet: {r: relu, t: {a: "dropout 0.5", b: "dropout 0.5 <- r", f: "fc 36 <- a", g: "flatten <- b",'
        ' s: "add <- f, g"}}'
    ).graph
    module, source = to_torch(graph), printed(graph)
    source.load_state_dict(module.state_dict())
    x = torch.randn(2, 4, 3, 3)

    def by_hand(x: Any) -> Any:
        first, second = F.dropout(torch.relu(x)), F.dropout(torch.relu(x))
        return module.get_submodule("t.f")(first.flatten(1)) + second.flatten(1)

    for made in (module, source):
        assert torch.equal(outputs(made.train(), x), outputs(by_hand, x))
