"""Every op of a graph along 1, 2 and 3 axes: the module and the printed source compute what torch's functions compute,
in both modes, with equal gradients, at the default size and at another one.

Tests `backends/torch/lower.py`, `backends/torch/layer_text.py` and `backends/torch/layers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

import archdsl
from archdsl.ops import GRAPH_OPS
from archdsl.shapes import concrete
from tests.support.any_axes import for_axes

torch = pytest.importorskip("torch")
F = torch.nn.functional

from archdsl.backends.torch import to_source  # noqa: E402
from archdsl.backends.torch.layer_text import init_text, layer_class, layer_names, layer_texts  # noqa: E402
from archdsl.backends.torch.module import to_torch  # noqa: E402

SIZES = (11, 8, 6)
CHANNELS = 4
CONV = (None, F.conv1d, F.conv2d, F.conv3d)
DECONV = (None, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
MAXPOOL = (None, F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVGPOOL = (None, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
ADAPTIVE = (None, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
LINEAR = ("", "linear", "bilinear", "trilinear")


class Run:
    """What a reference reads: the input, its number of axes, the tensors of the node `y`, and the mode."""

    def __init__(self, x: Any, tensors: dict[str, Any], training: bool) -> None:
        self.x, self.axes, self.training = x, x.dim() - 2, training
        self.tensors = {key.removeprefix("y."): tensor for key, tensor in tensors.items()}
        self.weight, self.bias = self.tensors.get("weight"), self.tensors.get("bias")

    def per(self, *numbers: int) -> tuple[int, ...]:
        """The numbers of the input's axes; one number is that of every axis."""
        return numbers[: self.axes] if len(numbers) > 1 else numbers * self.axes

    def padded(self, begins: Sequence[int], ends: Sequence[int], value: float = 0.0, x: Any = None) -> Any:
        sides = [side for begin, end in zip(begins, ends, strict=True) for side in (end, begin)][::-1]
        return F.pad(self.x if x is None else x, sides, value=value)

    def same(self, kernel: int, stride: int, value: float = 0.0, x: Any = None) -> Any:
        """Padded as in TensorFlow."""
        sizes = self.x.shape[2:]
        totals = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes]
        return self.padded([t // 2 for t in totals], [t - t // 2 for t in totals], value, x)


def conv(run: Run, x: Any = None, **options: Any) -> Any:
    return CONV[run.axes](run.x if x is None else x, run.weight, run.bias, **options)  # type: ignore[misc]


def deconv(run: Run, **options: Any) -> Any:
    return DECONV[run.axes](run.x, run.weight, run.bias, **options)  # type: ignore[misc]


def maxpool(run: Run, *window: Any, x: Any = None, **options: Any) -> Any:
    return MAXPOOL[run.axes](run.x if x is None else x, *window, **options)  # type: ignore[misc]


def avgpool(run: Run, *window: Any, x: Any = None, **options: Any) -> Any:
    return AVGPOOL[run.axes](run.x if x is None else x, *window, **options)  # type: ignore[misc]


def inside(run: Run, kernel: int, stride: int) -> Any:
    ones = run.same(kernel, stride, x=torch.ones_like(run.x))
    return avgpool(run, kernel, stride, x=run.same(kernel, stride)) / avgpool(run, kernel, stride, x=ones)


def standardized(run: Run, gain: float) -> Any:
    rows = [(f - f.mean()) / (f.var(correction=0) + 1e-6).sqrt() * gain / f.numel() ** 0.5 for f in run.weight]
    return CONV[run.axes](run.x, torch.stack(rows) * run.tensors["gain"], run.bias, padding=1)  # type: ignore[misc]


def along_channels(run: Run) -> Any:
    rows = run.x.flatten(2).transpose(1, 2)
    mixed = F.conv1d(rows.reshape(-1, 1, rows.shape[2]), run.weight, run.bias, padding=1)
    return mixed.reshape(rows.shape).transpose(1, 2).reshape(run.x.shape)


def blurred(run: Run) -> Any:
    """The sums of neighbours, and of neighbours of these."""
    x = F.pad(run.x, run.per(1) * 2, mode="reflect")
    for axis in range(2, run.axes + 2):
        x = (x.unfold(axis, 3, 2) * torch.tensor([0.25, 0.5, 0.25])).sum(-1)
    return x


def table(run: Run, rows: Sequence[Sequence[int]]) -> Any:
    """A convolution with zeros where the table has no connection."""
    weight, connection = torch.zeros(len(rows), CHANNELS, *run.per(3)), 0
    for row, maps in enumerate(rows):
        for read in maps:
            weight[row, read], connection = run.weight[connection], connection + 1
    return CONV[run.axes](run.x, weight, run.bias, padding=1)  # type: ignore[misc]


def subsample(run: Run) -> Any:
    sums = avgpool(run, 2) * 2**run.axes
    return sums * each(run, run.weight) + each(run, run.bias)


def each(run: Run, tensor: Any) -> Any:
    """One number per channel, in the form that is broadcast over the input."""
    return torch.as_tensor(tensor).reshape(-1, *run.per(1))


def layernorm(run: Run) -> Any:
    mean, var = run.x.mean(1, keepdim=True), run.x.var(1, keepdim=True, correction=0)
    return (run.x - mean) / torch.sqrt(var + 1e-5) * each(run, run.weight) + each(run, run.bias)


def lrn(run: Run) -> Any:
    squares = F.pad(run.x.square().movedim(1, -1), (1, 1)).unfold(-1, 3, 1).sum(-1).movedim(-1, 1)
    return run.x / (1 + 1e-4 / 3 * squares) ** 0.75


def bn(run: Run) -> Any:
    mean, var = (run.tensors[f"running_{name}"].clone() for name in ("mean", "var"))
    return F.batch_norm(run.x, mean, var, run.weight, run.bias, run.training)


def shuffle(run: Run) -> Any:
    return run.x[:, [0, 2, 1, 3]]


def nearest(run: Run, *factors: int) -> Any:
    x = run.x
    for axis, factor in enumerate(run.per(*factors), 2):
        x = x.repeat_interleave(factor, axis)
    return x


def droppath(run: Run) -> Any:
    if not run.training:
        return run.x
    return run.x * torch.empty(len(run.x), 1, *run.per(1)).bernoulli_(0.7) / 0.7


def on_x(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[Run], Any]:
    return lambda run: function(run.x, *args, **kwargs)


ROWS = ((0, 1), (1, 2, 3), (0,))
CASES: dict[str, Callable[[Run], Any]] = {
    "<3> conv 6": partial(conv, padding=1),
    "conv 6 kernel=3 /2 nobias": partial(conv, padding=1, stride=2),
    "<3,1,2> conv 6 /<2,1,3>": lambda r: conv(r, padding=r.per(1, 0, 0), stride=r.per(2, 1, 3)),
    "<3> conv 6 dilation=2 groups=2 valid": partial(conv, dilation=2, groups=2),
    "<3> conv 6 pad=[1,0,2|0,1,1]": lambda r: conv(r, r.padded(r.per(1, 0, 2), r.per(0, 1, 1))),
    "<4> conv 6 /2 same": lambda r: conv(r, r.same(4, 2), stride=2),
    "<3> dwconv multiplier=2 /2": lambda r: conv(r, groups=CHANNELS, stride=2, padding=1),
    "<3> conv 2 weight=@ bias=[1,2]": partial(conv, padding=1),
    "<2> conv 3 weight=@ bias=false same": lambda r: conv(r, r.same(2, 1)),
    "<3> conv 6 standardized gain=2": partial(standardized, gain=2.0),
    "channelconv 3": along_channels,
    "<3> blurpool": blurred,
    "<3> conv 3 table=[[0,1],[1,2,3],[0]]": partial(table, rows=ROWS),
    "<2> deconv 6 /2": partial(deconv, stride=2),
    "<3> deconv 6 /2 groups=2": partial(deconv, stride=2, padding=1, output_padding=1, groups=2),
    "<3,2,4> deconv 6 /<1,2,2>": lambda r: deconv(r, stride=r.per(1, 2, 2), padding=r.per(1, 0, 1)),
    "<3> deconv 6 dilation=2 nobias": partial(deconv, padding=2, dilation=2),
    "fc 5": lambda r: F.linear(r.x.flatten(1), r.weight, r.bias),
    "fc 5 kernel=1": lambda r: F.linear(r.x.movedim(1, -1), r.weight, r.bias).movedim(-1, 1),
    "[gap, flatten, rbf 3]": lambda r: (
        (r.x.flatten(2).mean(2)[:, None] - next(iter(r.tensors.values()))).square().sum(2)
    ),
    "<2> maxpool": lambda r: maxpool(r, 2),
    "<3> maxpool /2 ceil": lambda r: maxpool(r, 3, 2, ceil_mode=True),
    "<3> maxpool /2 same": lambda r: maxpool(r, 3, 2, x=r.same(3, 2, -torch.inf)),
    "<3> maxpool /2 pad=[1,0,0|0,1,1]": lambda r: maxpool(
        r, 3, 2, x=r.padded(r.per(1, 0, 0), r.per(0, 1, 1), -torch.inf)
    ),
    "<2> maxpool /1 dilation=2": lambda r: maxpool(r, 2, 1, dilation=2),
    "<3,2,1> avgpool /<2,1,1>": lambda r: avgpool(r, r.per(3, 2, 1), r.per(2, 1, 1)),
    "<3> avgpool /2 pad=1 ceil": lambda r: avgpool(r, 3, 2, padding=1, ceil_mode=True),
    "<3> avgpool /1 pad=1 inside": lambda r: avgpool(r, 3, 1, padding=1, count_include_pad=False),
    "<4> avgpool /2 same inside": lambda r: inside(r, 4, 2),
    "<3,2,1> avgpool adaptive": lambda r: ADAPTIVE[r.axes](r.x, r.per(3, 2, 1)),  # type: ignore[misc]
    "gap": lambda r: r.x.mean([*range(2, r.x.dim())], keepdim=True),
    "gmp": lambda r: r.x.amax([*range(2, r.x.dim())], keepdim=True),
    "mean channels": on_x(torch.mean, 1, True),
    "max channels": on_x(torch.amax, 1, True),
    "sum channels": on_x(torch.sum, 1, True),
    "l2 channels": lambda r: r.x.square().sum(1, True).sqrt(),
    "mean space": lambda r: r.x.mean([*range(2, r.x.dim())], keepdim=True),
    "max space": lambda r: r.x.amax([*range(2, r.x.dim())], keepdim=True),
    "sum space": lambda r: r.x.sum([*range(2, r.x.dim())], keepdim=True),
    "l2 space": lambda r: r.x.square().sum([*range(2, r.x.dim())], keepdim=True).sqrt(),
    "<2> subsample": subsample,
    "bn": bn,
    "gn 2": lambda r: F.group_norm(r.x, 2, r.weight, r.bias),
    "instancenorm": on_x(F.instance_norm),
    "instancenorm affine=true": lambda r: F.instance_norm(r.x, weight=r.weight, bias=r.bias),
    "ln": layernorm,
    "lrn 3": lrn,
    "relu": on_x(torch.relu),
    "relu6": on_x(torch.clamp, 0, 6),
    "leaky_relu 0.1": on_x(F.leaky_relu, 0.1),
    "prelu": lambda r: F.prelu(r.x, r.weight),
    "elu 0.5": on_x(F.elu, 0.5),
    "selu": on_x(F.selu),
    "celu 0.5": on_x(F.celu, 0.5),
    "softplus beta=2 threshold=1": on_x(F.softplus, 2.0, 1.0),
    "softsign": on_x(F.softsign),
    "mish": on_x(F.mish),
    "clip -0.5 0.25": on_x(torch.clamp, -0.5, 0.25),
    "hardsigmoid alpha=0.2": lambda r: torch.clamp(0.2 * r.x + 0.5, 0, 1),
    "log_softmax": on_x(F.log_softmax, 1),
    "tanh": on_x(torch.tanh),
    "scaled_tanh": lambda r: 1.7159 * torch.tanh(2 / 3 * r.x),
    "sigmoid": on_x(torch.sigmoid),
    "silu": on_x(F.silu),
    "gelu": on_x(F.gelu),
    "hardswish": on_x(F.hardswish),
    "hardsigmoid": on_x(F.hardsigmoid),
    "abs": on_x(torch.abs),
    "softmax": on_x(torch.softmax, 1),
    "softmax parts=2": lambda r: torch.stack(r.x.chunk(2, 1), 1).softmax(1).flatten(1, 2),
    "softmax groups=2": lambda r: torch.cat([y.softmax(1) for y in r.x.chunk(2, 1)], 1),
    "softmax space": lambda r: r.x.flatten(2).softmax(2).reshape(r.x.shape),
    "dropout 0.5": lambda r: F.dropout(r.x, 0.5, r.training),
    "droppath 0.3": droppath,
    "add <- input, input": lambda r: r.x + r.x,
    "mul <- input, input": lambda r: r.x * r.x,
    "sub <- input, input": lambda r: r.x - r.x,
    "maximum <- input, input": lambda r: r.x,
    "minimum <- input, input": lambda r: r.x,
    "{branches: [identity, l2 channels], merge: div}": lambda r: r.x / r.x.square().sum(1, True).sqrt(),
    "{branches: [gap, identity], merge: mul}": lambda r: r.x * r.x.mean([*range(2, r.x.dim())], keepdim=True),
    "concat <- input, input": lambda r: torch.cat((r.x, r.x), 1),
    "identity": lambda r: r.x,
    "flatten": on_x(torch.flatten, 1),
    "slice 1 3": lambda r: r.x[:, 1:3],
    "shuffle 2": shuffle,
    "[upsample 2, pixelunshuffle 2]": lambda r: r.x.repeat_interleave(2**r.axes, 1),
    "[upsample 2, pixelunshuffle 2, pixelshuffle 2]": lambda r: nearest(r, 2),
    "upsample 2": lambda r: nearest(r, 2),
    "upsample scale=<2,1,3>": lambda r: nearest(r, 2, 1, 3),
    "upsample 2 linear": lambda r: F.interpolate(r.x, scale_factor=2, mode=LINEAR[r.axes]),
    "pad 1": lambda r: r.padded(r.per(1), r.per(1)),
    "pad [1,0,-1|0,2,1] value=3": lambda r: r.padded(r.per(1, 0, -1), r.per(0, 2, 1), 3),
    "pad channels=[1,2]": lambda r: F.pad(r.x, (*(0, 0) * r.axes, 1, 2)),
    "pad 1 channels=[1,0]": lambda r: F.pad(r.x, (*(1, 1) * r.axes, 1, 0)),
    "scale 0.5": lambda r: r.x * next(iter(r.tensors.values())),
    "scale 0.5 flat": lambda r: r.x * each(r, next(iter(r.tensors.values()))),
    "scale 0.5 batched": lambda r: r.x * next(iter(r.tensors.values())),
    "offset 0.5": lambda r: r.x + next(iter(r.tensors.values())),
    "offset 0.5 flat": lambda r: r.x + each(r, next(iter(r.tensors.values()))),
    "offset 0.5 batched": lambda r: r.x + next(iter(r.tensors.values())),
    "affine 2 add=1": lambda r: r.x * 2 + 1,
    "affine [1,2,3,4]": lambda r: r.x * each(r, [1.0, 2.0, 3.0, 4.0]),
}


def text_of(case: str, axes: int) -> str:
    """The case for inputs with so many axes."""
    text = for_axes(case, axes)
    if "weight=@" in text:
        size = int(re.findall(r"<(\d)>", case)[0])
        text = text.replace("@", str(torch.arange(1.0, size**axes + 1).reshape((size,) * axes).tolist()))
    return f"input: {'x'.join(map(str, (CHANNELS, *SIZES[:axes])))}\nnet: {{y: {quoted(text)}}}"


def quoted(text: str) -> str:
    return text if text[0] in "[{" else f"'{text}'"


def printed(graph: Any) -> Any:
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(to_source(graph), "printed", "exec"), space)
    return space["build"]()


def random_tensors(module: Any) -> None:
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn_like(buffer))
        elif name.endswith("running_var"):
            buffer.copy_(torch.rand_like(buffer) + 0.5)


def gradients(function: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """The output and the gradient of the input."""
    torch.manual_seed(3)
    x = x.clone().requires_grad_()
    y = function(x)
    (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
    return y.detach(), x.grad


@pytest.mark.parametrize("axes", (1, 2, 3))
@pytest.mark.parametrize("case", CASES)
def test_op(case: str, axes: int) -> None:
    graph = archdsl.loads(text_of(case, axes)).graph
    torch.manual_seed(axes)
    module, source = to_torch(graph), printed(graph)
    random_tensors(module)
    source.load_state_dict(module.state_dict(), strict=True)
    larger = {size.name: size.default + (0 if size.pinned else size.step) for size in graph.sizes}
    for sizes in ({}, larger) if larger else ({},):
        x = torch.randn(3, *concrete(graph.nodes[0].shape, sizes or None))
        for training in (False, True):
            tensors = {key: tensor.clone() for key, tensor in module.state_dict().items()}
            expected = gradients(lambda x, t=tensors, on=training: CASES[case](Run(x, t, on)), x)
            ours = gradients(module.train(training), x)
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
            module.load_state_dict(tensors)
            assert all(map(torch.equal, gradients(source.train(training), x), ours))
            source.load_state_dict(tensors)


def test_every_op_is_here() -> None:
    used = {node.op.name for case in CASES for node in archdsl.loads(text_of(case, 2)).graph.nodes}
    assert {op.name for op in GRAPH_OPS} <= used


def test_fixed_weights_keep_their_values() -> None:
    for axes in (1, 2, 3):
        module = to_torch(archdsl.loads(text_of("<3> conv 2 weight=@ bias=[1,2]", axes)).graph)
        kernel = torch.arange(1.0, 3**axes + 1).reshape((3,) * axes)
        assert torch.equal(module.y.weight, kernel.expand(2, CHANNELS, *kernel.shape))


def test_initial_values_of_the_printed_source() -> None:
    """The printed network draws convolutions along all axes as its text says, and linear layers uniformly."""
    for axes in (1, 2, 3):
        kernel = "x".join("5" * axes)
        text = f"input: 64x{'x'.join('9' * axes)}\nnet: [{kernel} conv 64, {kernel} deconv 64, fc 50]"
        conv, deconv, linear = (p.detach() for p in printed(archdsl.loads(text).graph).parameters() if p.dim() > 1)
        for weight in (conv, deconv):
            assert float(weight.std() * (64 * 5**axes / 2) ** 0.5) == pytest.approx(1, abs=0.05)
        assert float(linear.abs().max()) <= linear.shape[1] ** -0.5


SIGNAL = """
name: net
input: 12x5000
defaults: {conv: bn relu}
blocks:
  double(c): {one: 7 conv c /2, two: 7 conv c}
net: {a: double(16), b: double(32), pool: gap, fc: fc 5}
"""


def test_words_of_the_printed_source() -> None:
    source = to_source(archdsl.loads(SIGNAL).graph)
    assert "Input (N, 12, 5000); " in source
    assert "(N, in_channels, L) -> (N, c, L / 2)." in source
    assert "nn.Conv1d(in_channels, out_channels, 7, stride=stride, padding=3, bias=False)" in source
    assert "torch.randn(2, 12, 5000)" in source and "isinstance(module, (nn.Conv1d, nn.ConvTranspose1d))" in source
    volume = SIGNAL.replace("12x5000", "1x16x32x48").replace("7 conv", "3x3x3 conv")
    source = to_source(archdsl.loads(volume).graph)
    assert "(N, in_channels, D, H, W) -> (N, c, D / 2, H / 2, W / 2)." in source
    assert "nn.BatchNorm3d(out_channels)" in source


def test_helper_layers_are_reworded_and_not_only_renamed() -> None:
    texts = {axes: "\n".join(layer_texts([f"LayerNorm{axes}d", f"PaddedConv{axes}d"])) for axes in (1, 2, 3)}
    assert "class PaddedConv1d(nn.Conv1d):" in texts[1] and "`pads` is (left, right)." in texts[1]
    assert "at each sample of a signal (N, C, L)." in texts[1]
    assert "at each voxel of a volume (N, C, D, H, W)." in texts[3]
    assert "`pads` is (left, right, top, bottom, front, back)." in texts[3]
    assert max(len(line) for text in layer_texts(layer_names()) for line in text.splitlines()) <= 100
    for name in layer_names() - {"init_weights"}:
        assert layer_class(name) is layer_class(name) and issubclass(layer_class(name), torch.nn.Module)


def test_initialisation_of_several_numbers_of_axes() -> None:
    assert "isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):" in init_text([]) and init_text([0, 2]) == init_text(
        []
    )
    for axes in ([1], [1, 2], [1, 2, 3]):
        space: dict[str, Any] = {"nn": torch.nn, "Tensor": torch.Tensor}
        text = init_text(axes)
        exec(text, space)
        assert max(map(len, text.splitlines())) <= 100
        for number in axes:
            layer = getattr(torch.nn, f"Conv{number}d")(2, 2, 3)
            torch.nn.init.ones_(layer.bias)
            space["init_weights"](layer)
            assert not layer.bias.any()
    source = to_source(
        archdsl.loads("input: {a: 3x64, b: 3x8x8}\nnet: {x: 3 conv 4 <- a, y: 3x3 conv 4 <- b}\noutputs: [x, y]").graph
    )
    assert "(nn.Conv1d, nn.ConvTranspose1d, nn.Conv2d, nn.ConvTranspose2d)" in source


def test_long_shapes_keep_their_arrow_and_their_vectors() -> None:
    inputs = ", ".join(f"{name}: 3x11x13x17" for name in "abc")
    source = to_source(
        archdsl.loads(f"name: net\ninput: {{v: 4, {inputs}}}\nnet: {{w: fc 4 <- v, s: 'add <- a, b, c'}}\n").graph
    )
    assert " ".join(re.findall(r'class Net.*?"""(.*?)"""', source, re.DOTALL)[0].split()) == (
        "net: (N, 4), (N, C, 11, 13, 17), (N, C, 11, 13, 17), (N, C, 11, 13, 17) -> (N, C, 11, 13, 17)."
    )
