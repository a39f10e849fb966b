"""`again` of a whole block: the module is called twice, in every target, and the tensors exist once.

Tests `elaborate/run_again.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.backends.spec.rewrite import flat_text, formatted, long_text
from archdsl.backends.torch import to_source
from archdsl.diagnostics import ArchError, Source
from archdsl.differences.compare import compare_graphs
from archdsl.spec.open import from_source
from archdsl.verification.observe import source_module

SIAMESE = """
input: {left: 3x32x32, right: 3x32x32}
defaults: {conv: bn relu}
blocks:
  res(w, s=1): {residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w linear}, then: relu}
  encoder(c):
    stem: 3x3 conv c
    pool: 2x2 maxpool
    drop: dropout 0
    body: 2 * res(2*c, 2 if first else 1)
    gap: gap
    fc: fc 8
net:
  a: encoder(4) <- left
  b: again a <- right
  d: sub <- a, b
  abs: abs
  fc: fc 1
"""
HEADS = """
input: 3x64x64
defaults: {conv: relu}
blocks:
  head: {conv1: 3x3 conv 8, conv2: 3x3 conv 8, out: 3x3 conv 5 linear}
net:
  p3: 3x3 conv 8 /8
  p4: 3x3 conv 8 /2
  p5: 3x3 conv 8 /2
  head: head <- p3
  head4: again head <- p4
  head5: again head4 <- p5
outputs: {c3: head, c4: head4, c5: head5}
"""
CBAM = """
input: 8x9x7
net:
  avg: gap
  mlp: {fc1: 1x1 conv 2 relu, fc2: 1x1 conv 8}
  gmp: gmp <- input
  mlp2: again mlp
  sum: add <- mlp, mlp2
  gate: sigmoid
  out: mul <- input, gate
"""
RECURRENT = """
input: 4x10x10
net:
  step: {residual: {conv: 3x3 conv 4 relu, norm: bn}}
  _more: {do: again step, repeat: 2, as: "again{0}"}
  out: 1x1 conv 2
"""
INSIDE = """
input: 4x8x8
blocks:
  unit: {f: {c: 3x3 conv 4, n: bn}, r: relu, g: again f}
net:
  x: 2 * unit
  y: again x.1
  z: again y.f
  sum: add <- z, y.f, x
"""


def _siamese(m: Any, left: Tensor, right: Tensor) -> Tensor:
    return m.fc((m.a(left) - m.a(right)).abs())  # type: ignore[no-any-return]


def _heads(m: Any, x: Tensor) -> list[Tensor]:
    p3 = F.relu(m.p3(x))
    p4 = F.relu(m.p4(p3))
    return [m.head(p3), m.head(p4), m.head(F.relu(m.p5(p4)))]


def _cbam(m: Any, x: Tensor) -> Tensor:
    return x * torch.sigmoid(m.mlp(x.mean((2, 3), keepdim=True)) + m.mlp(x.amax((2, 3), keepdim=True)))  # type: ignore[no-any-return]


def _recurrent(m: Any, x: Tensor) -> Tensor:
    return m.out(m.step(m.step(m.step(x))))  # type: ignore[no-any-return]


def _inside(m: Any, x: Tensor) -> Tensor:
    def unit(u: Any, v: Tensor) -> tuple[Tensor, Tensor]:
        f = u.f.n(u.f.c(v))
        return f, u.f.n(u.f.c(F.relu(f)))

    one, two = m.get_submodule("x.0"), m.get_submodule("x.1")
    x = unit(two, unit(one, x)[1])[1]
    f, y = unit(two, x)
    return two.f.n(two.f.c(y)) + f + x  # type: ignore[no-any-return]


CASES: dict[str, tuple[str, Callable[..., Any]]] = {
    "siamese": (SIAMESE, _siamese),
    "heads": (HEADS, _heads),
    "cbam": (CBAM, _cbam),
    "recurrent": (RECURRENT, _recurrent),
    "inside": (INSIDE, _inside),
}


def _inputs(net: archdsl.Network, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = [[n if isinstance(n, int) else n.default for n in net.graph.nodes[i].shape] for i in net.graph.inputs]
    return [torch.randn(2, *shape, generator=generator, dtype=dtype) for shape in shapes]


def _listed(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else [*outputs]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [False, True])
def test_outputs_gradients_and_statistics_are_those_of_a_module_called_twice(case: str, training: bool) -> None:
    text, by_hand = CASES[case]
    net = archdsl.loads(text)
    ours, theirs = (net.to_torch(seed=5).double().train(training) for _ in range(2))
    inputs = _inputs(net)
    for module, run in ((ours, ours), (theirs, lambda *x: by_hand(theirs, *x))):
        sum(out.square().sum() for out in _listed(run(*inputs))).backward()  # type: ignore[union-attr]
        assert all(p.grad is not None for p in module.parameters())
    for mine, other in zip(_listed(ours(*inputs)), _listed(by_hand(theirs, *inputs)), strict=True):
        assert float((mine - other).detach().abs().max()) < 1e-12
    for (key, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-9, atol=1e-12), key  # type: ignore[arg-type]
    for (key, one), two in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.allclose(one, two, rtol=1e-12), key


@pytest.mark.parametrize("case", CASES)
def test_the_source_and_the_file_compute_the_same(case: str, tmp_path: Path) -> None:
    net = archdsl.loads(CASES[case][0])
    module, inputs = net.to_torch(seed=5), _inputs(net, torch.float32)
    printed = source_module(to_source(net.graph))
    printed.load_state_dict(module.state_dict(), strict=True)
    file = net.to_onnx(tmp_path / "a.onnx", seed=5).path
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    ran = session.run(None, {name: x[:1].numpy() for name, x in zip(names, inputs, strict=True)})
    with torch.no_grad():
        expected = _listed(module(*inputs))
        for one, two, three in zip(expected, _listed(printed(*inputs)), ran, strict=True):
            assert torch.equal(one, two)
            assert np.allclose(one[:1].numpy(), three, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_long_and_flat_forms_are_the_same_network(case: str) -> None:
    net = archdsl.loads(CASES[case][0])
    spec = from_source(Source("a.yaml", CASES[case][0]))
    for text in (flat_text(spec), long_text(spec), formatted(spec.source)):
        again = archdsl.loads(text)
        assert compare_graphs(net.graph, again.graph).equal
        assert (again.params, again.macs) == (net.params, net.macs)


def test_tensors_are_counted_once_and_work_each_time() -> None:
    net, encoder = archdsl.loads(SIAMESE), archdsl.loads(SIAMESE.replace("again a", "encoder(4)"))
    own = sum(t.param.numel for t in net.graph.tensors if t.param.trained)
    assert net.params == own == sum(p.numel() for p in net.to_torch().parameters())
    assert encoder.params == 2 * net.params - 9 and encoder.macs == net.macs
    assert "self.a(right" in to_source(net.graph) and "self.b(" not in to_source(net.graph)
    assert "again a" in archdsl.loads(SIAMESE).summary()


@pytest.mark.parametrize(
    ("net", "calls"),
    [
        ("{d: {c: 3x3 conv 4 relu, d: 3x3 conv 4}, f: again d}", "self.d(x)"),
        ("{c: 3x3 conv 4 bn, d: again c}", "self.c(x)"),
        ("{a: {u: 3x3 conv 4, v: again u}, b: again a}", "self.a(x)"),
    ],
)
def test_all_of_a_node_runs_again(net: str, calls: str) -> None:
    """Also if a node in it has its name, if it is a convolution with its norm, or contains an `again`."""
    text = f"input: 4x16x16\nnet: {net}"
    graph = archdsl.loads(text).graph
    assert to_source(graph).count(calls) >= 2 and ".d.d(" not in to_source(graph)
    assert compare_graphs(graph, archdsl.loads(flat_text(from_source(Source("a.yaml", text)))).graph).equal


@pytest.mark.parametrize(
    ("net", "code", "said"),
    [
        ("{a: {x: 3x3 conv 8}, b: 1x1 conv 4, c: again a}", "E0423", "made for 3 input channels"),
        ("{a: {x: 1x1 conv in, y: relu}, b: 1x1 conv 4, c: again a}", "E0423", "input channels"),
        ("{a: {residual: 3x3 conv 8}, c: again a}", "E0504", ""),
        ("{a: {x: relu, y: 2x2 maxpool}, c: again a}", "E0419", "no weights"),
        ("{a: {x: 3x3 conv 3}, c: again a bn}", "E0420", "norm"),
        ('{a: {x: 3x3 conv 3}, c: "again a <- a, input"}', "E0414", "one input"),
        ("{a: {x: {p: 3x3 conv 3, q: again .a}}}", "E04", ""),
        ("{m: {a: {x: 3x3 conv 3}}, n: {c: again m.a}}", "E0420", "outside"),
        (
            "{a: {x: relu when in == 3, y: prelu shared=true, z: 1x1 conv 4 when in == 9}, b: 1x1 conv 4, c: again a}",
            "E0423",
            "`x` differs",
        ),
        (
            "{a: {x: 1x1 conv 4 when in == 4, y: prelu shared=true}, b: 1x1 conv 4, c: again a}",
            "E0423",
            "for this input only",
        ),
    ],
)
def test_wrong_uses(net: str, code: str, said: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 3x16x16\nnet: {net}")
    (first, *_) = caught.value.diagnostics
    assert first.code.startswith(code) and said in first.message, first


def test_the_classes_of_plain_modules_are_called() -> None:
    """A hook sees both calls, as it does for a module that a forward calls twice."""
    net = archdsl.loads(SIAMESE)
    module, calls = net.to_torch(), []
    module.get_submodule("a").register_forward_hook(lambda *_: calls.append(1))
    module(*_inputs(net, torch.float32))
    assert len(calls) == 2 and isinstance(module.get_submodule("a.fc"), nn.Linear)
