"""What a training step stores and needs, compared with autograd's hooks and with torch's profiler.

Tests `backends/torch/tape.py`, `backends/torch/tape_rules.py`, `backends/torch/tracer.py`, `analysis/training.py` and
`network/training.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial

import pytest

import archdsl
from archdsl.analysis.training import Optimizer, Tensor, stored
from archdsl.backends.torch.tape import trace
from archdsl.backends.torch.tape_rules import FACTS, RULES
from archdsl.ops import GRAPH_OPS
from archdsl.ops.base import Example

pytest.importorskip("torch")

from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.support.training import peak_bytes, printed, saved_bytes, step_flops

MODES = (("cpu", False), ("cuda", True))


def examples() -> Iterator[tuple[str, Example]]:
    for op in GRAPH_OPS[1:]:
        for number, example in enumerate((op.example, *op.further)):
            yield f"{op.name}{number or ''}", example._replace(text=example.text or op.name)


EXAMPLES = dict(examples())
MORE = {
    "table": Example("3x9x8", "3x3 conv 4 table=[[0,1],[1,2],[0,2],[0,1,2]]"),
    "fixed": Example("3x9x8", "3x3 conv 4 pad=[1,0,2,1] weight=[[0,1,0],[1,-4,1],[0,1,0]]"),
    "uneven": Example("3x9x8", "3x3 conv 4 pad=[1,0,2,1]"),
    "fixed_bias": Example("3x9x8", "3x3 conv 4 bias=0.5"),
    "pointwise_fc": Example("16x9x8", "1x1 fc 8"),
    "fc_behind_ln": Example("16x9x8", "1x1 fc 8", before="  n: ln\n"),
    "flatten_behind_ln": Example("16x9x8", "fc 8", before="  n: ln\n"),
    "uneven_maxpool": Example("8x9x8", "3x3 maxpool /2 pad=[1,0,2,1]"),
    "uneven_avgpool": Example("8x9x8", "3x3 avgpool /2 pad=[1,0,2,1] inside"),
    "adaptive": Example("8x9x8", "1x1 avgpool adaptive"),
    "signal_gap": Example("8x90", "gap"),
    "volume_gap": Example("8x9x8x7", "gap"),
    "signal_pool": Example("8x90", "3 maxpool /2"),
    "grouped_softmax": Example("8x9x8", "softmax groups=2"),
    "hardsigmoid": Example("8x9x8", "hardsigmoid alpha=0.2"),
    "affine": Example("3x9x8", "affine [1,2,3] add=0.5"),
    "three": Example("{a: 4x9x8, b: 4x9x8, c: 4x9x8}", "mul <- a, b, c"),
    "broadcast": Example("{a: 4x9x8, b: 4x1x1}", "add broadcast <- a, b"),
    "chunks": Example("8x9x8", "concat <- s.0, s.1", before="  s: split 2\n"),
    "volume_shuffle": Example("8x9x8x8", "pixelunshuffle 1"),
    "cubic": Example("8x9x8", "upsample 2 cubic"),
    "wrap": Example("8x9x8", "pad 2 wrap"),
    "rbf_fixed": Example("4", "rbf 2 centers=[[1,-1,1,1],[1,1,-1,1]]"),
    "prelu_shared": Example("8x9x8", "prelu shared"),
    "plain_norms": Example("8x9x8", "bn affine=false"),
}


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE])
def test_each_op_stores_what_autograd_saves(name: str) -> None:
    example = {**EXAMPLES, **MORE}[name]
    net = archdsl.loads(f"input: {example.input}\nnet:\n{example.before}  y: {example.text}\n{example.after}")
    for device, amp in MODES:
        behind = Tensor(0, size=2 if amp else 4, grad=True, held=True)
        tape = trace(net.graph, device, "amp" if amp else "fp32", inputs=behind)  # type: ignore[arg-type]
        found = sum(tensor.owner.bytes(2) for _, tensor in stored(tape))
        assert found == saved_bytes(net, 2, device, amp, gradients=True), (device, amp)


def test_every_target_has_one_rule() -> None:
    assert not set(RULES) & set(FACTS)


SMALL = {
    "residual": """
input: 3x64x64
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: [3x3 conv w /s, 3x3 conv w linear]
    then: relu
net: {stem: 7x7 conv 16 /2, pool: 3x3 maxpool /2 pad=1, one: 2 * basic(32), two: "basic(64, 2)", g: gap, fc: fc 10}
""",
    "dense": """
input: 3x32x32
net:
  stem: 3x3 conv 16
  block: {dense: [bn relu, 3x3 conv 12 nobias], repeat: 3}
  g: gap
  fc: fc 10
""",
    "gates": """
input: 3x32x32
blocks:
  se(r): {gate: [gap, 1x1 conv r silu, 1x1 conv 32 sigmoid], y: "mul <- input, gate"}
net:
  {stem: 3x3 conv 32 bn silu, dw: 3x3 dwconv bn hardswish, se: se(8), d: droppath 0.1, g: gap, o: dropout, fc: fc 10}
""",
    "unet": """
input: 1x48x48
net:
  a: 3x3 conv 8 instancenorm leaky_relu
  down: 2x2 maxpool
  b: [3x3 conv 16, gn 4, elu]
  up: 2x2 deconv 8 /2
  join: concat <- a, up
  c: 3x3 conv 8 relu
  out: 1x1 conv 2
""",
    "convnext": """
input: 3x32x32
blocks:
  next(w):
    residual: [7x7 dwconv, ln, 1x1 fc (4 * w) gelu, 1x1 fc w, scale 1e-6, droppath 0.1]
net: {stem: 4x4 conv 24 /4, n: ln, body: 2 * next(24), g: gap, f: ln, fc: fc 10}
""",
    "signal": """
input: 4x256
net: {a: 7 conv 16 /2 bn relu, p: 3 maxpool /2, b: 5 conv 32 bn mish, m: 2 avgpool, g: gap, fc: fc 5}
""",
    "volume": """
input: 1x16x16x16
net: {a: 3x3x3 conv 8 bn prelu, p: 2x2x2 maxpool, b: 3x3x3 conv 16 softplus, u: upsample 2 linear, o: 1x1x1 conv 3}
""",
    "two_inputs": """
input: {image: 3x32x32, meta: 8}
net: {a: 3x3 conv 16 /2 relu <- image, g: gap, v: flatten, m: fc 16 tanh <- meta, j: "concat <- v, m", fc: fc 4}
""",
    "shared": """
input: {one: 1x32x32, two: 1x32x32}
blocks:
  tower: [5x5 conv 8 relu, 2x2 maxpool, fc 16]
net: {a: tower <- one, b: again a <- two, d: "sub <- a, b", n: abs, fc: fc 2}
""",
    "classic": """
input: 3x48x48
net: {a: 5x5 conv 16 /2 relu, n: lrn 5, p: 3x3 maxpool /2, f: fc 256 relu, d: dropout 0.5, o: fc 10}
""",
    "fixed": """
input: 3x32x32
net: {e: "3x3 conv 8 weight=[[0,1,0],[1,-4,1],[0,1,0]] nobias", a: 3x3 conv 8 relu, b: 3x3 blurpool /2, fc: fc 3}
""",
    "slices": """
input: 3x32x32
blocks:
  unit:
    s: split 2
    r: 3x3 conv 8 bn relu <- s.1
    j: concat <- s.0, r
    x: shuffle 2
net: {stem: 3x3 conv 16, u: 2 * unit, g: gap, fc: fc 10}
""",
}


@cache
def small(name: str) -> archdsl.Network:
    return archdsl.loads(SMALL[name], name=name)


@pytest.mark.parametrize(
    ("name", "optimizer"), [(name, ("sgd", "adam", "adamw")[n % 3]) for n, name in enumerate(SMALL)]
)
def test_the_peak_of_a_step_is_that_of_the_profiler(name: str, optimizer: Optimizer) -> None:
    cost = archdsl.training_cost(small(name), batch=2, optimizer=optimizer, device="cpu")
    assert cost.peak_bytes == pytest.approx(peak_bytes(small(name), 2, optimizer)[0], rel=0.01)


BETWEEN = """\
maximum <- a, b; minimum <- a, b; add <- a, b; sub <- a, b; mul <- a, b; concat <- a, b
div <- a, b; div <- a, input; div <- input, a; softsign; abs; hardsigmoid alpha=0.2
prelu; dropout; l2 over=channels; max channels; sum channels; mean channels
softmax; softplus; droppath 0.2; lrn 5; gn 4; instancenorm
ln; 3x3 maxpool /2; 2x2 avgpool; 3x3 blurpool /2; upsample 2; upsample 2 linear
shuffle 4; pixelshuffle 2; pad 2 reflect
"""


@pytest.mark.parametrize("op", re.split(r"; |\n", BETWEEN.strip()))
def test_the_peak_of_one_op_between_convolutions(op: str) -> None:
    text = (
        f"input: 16x32x32\nnet: {{a: 1x1 conv 16, b: 1x1 conv 16 <- input, y: '{op}', z: 1x1 conv 16, g: gap, f: fc 3}}"
    )
    net = archdsl.loads(text if "b" in op.partition("<-")[2] else text.replace(" b: 1x1 conv 16 <- input,", ""))
    cost = archdsl.training_cost(net, batch=8, device="cpu")
    assert cost.peak_bytes == pytest.approx(peak_bytes(net, 8)[0], rel=0.01)


def test_a_quotient_stores_its_numerator_only_for_the_gradient_of_the_divisor() -> None:
    for fraction in ("a, input", "input, a"):
        net = archdsl.loads(f"input: 16x8x8\nnet: {{a: 1x1 conv 16, m: 'div <- {fraction}', g: gap, f: fc 3}}")
        for device, amp in MODES:
            tape = trace(net.graph, device, "amp" if amp else "fp32")  # type: ignore[arg-type]
            assert sum(tensor.owner.bytes(2) for _, tensor in stored(tape)) == saved_bytes(net, 2, device, amp)


def test_weights_include_the_constants_of_modules() -> None:
    for name in ("lenet5_1998", "fixed"):
        net = small(name) if name in SMALL else archdsl.load(name)
        held = [*(module := printed(net)).parameters(), *module.buffers()]
        assert archdsl.training_cost(net).weight_bytes == sum(tensor.nbytes for tensor in held)


def test_a_block_that_the_backward_does_not_reach_is_not_recomputed() -> None:
    text = """
input: 3x32x32
blocks:
  edges: ["3x3 conv 8 weight=[[0,1,0],[1,-4,1],[0,1,0]] nobias", relu]
  basic: [3x3 conv 8, relu]
net: {e: edges, b: basic, g: gap, f: fc 3}
"""
    both, last = (
        archdsl.training_cost(archdsl.loads(one), checkpoint=True)
        for one in (text, text.replace("e: edges", "e: '3x3 conv 8 weight=[[0,1,0],[1,-4,1],[0,1,0]] nobias', r: relu"))
    )
    assert both.recomputed_flops == last.recomputed_flops > 0


COUNTED = [name for name in SMALL if name not in ("gates", "convnext", "fixed")]
"""Torch counts the backward of a grouped convolution as if it had one group, and blur pools as convolutions."""


@pytest.mark.parametrize("name", COUNTED)
def test_the_work_is_that_of_the_flop_counter(name: str) -> None:
    cost = archdsl.training_cost(small(name), batch=2)
    assert (cost.forward_flops, cost.forward_flops + cost.backward_flops) == step_flops(small(name))


def test_checkpointed_blocks_store_what_they_read() -> None:
    """Each block of ResNet-18 in `torch.utils.checkpoint`, as its users write it."""

    def wrap(module: nn.Module) -> None:
        blocks = [one for name, one in module.named_modules() if re.fullmatch(r"layer\d\.\d", name)]
        assert len(blocks) == 8
        for block in blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    net = archdsl.load("resnet18", input=(3, 96, 96))
    cost = archdsl.training_cost(net, batch=8, device="cpu", checkpoint=True)
    assert cost.peak_bytes == pytest.approx(peak_bytes(net, 8, checkpoint=wrap)[0], rel=0.02)
    assert cost.peak_bytes < archdsl.training_cost(net, batch=8, device="cpu").peak_bytes
