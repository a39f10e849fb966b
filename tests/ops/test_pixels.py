"""blurpool, pixelshuffle, pixelunshuffle and channelconv against timm, torch and MONAI, in every target.

Tests `ops/pixels.py`, `backends/torch/rules/pixels.py` and `backends/onnx/rules/pixels.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.diagnostics import ArchError

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
F = torch.nn.functional


def network(node: str, shape: tuple[int, ...]) -> archdsl.Network:
    return archdsl.loads(f"input: {list(shape)}\nnet: {{n: '{node}'}}\n")


def check(spec: archdsl.Network, x: Any, want: Any, folder: Path, weights: Any = None, limit: float = 1e-6) -> None:
    """The module, the printed source, and the ONNX file with free sizes."""
    given = {"weights": weights} if weights is not None else {}
    module = spec.to_torch(**given)
    printed: dict[str, Any] = {}
    exec(spec.to_source(), printed)
    copy = printed["build"]().eval()
    copy.load_state_dict(module.state_dict(), strict=True)
    spec.to_onnx(folder / "n.onnx", free_sizes=True, **given)
    (got,) = ort.InferenceSession(folder / "n.onnx").run(None, {"input": x.numpy()})
    with torch.no_grad():
        values = {"module": module(x), "source": copy(x), "onnx": torch.from_numpy(got)}
        assert torch.equal(module.double()(x.double()).float(), want) or limit, "in float64"
    for name, value in values.items():
        assert value.shape == want.shape, name
        assert (value - want).abs().max() <= limit * want.abs().max(), name


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", range(2, 8))
def test_blurpool_is_that_of_timm(size: int, stride: int, tmp_path: Path) -> None:
    theirs = timm.layers.blur_pool.BlurPool2d(6, size, stride)
    spec = network(f"{size}x{size} blurpool /{stride}", (6, 13, 16))
    assert list(theirs.state_dict()) == list(spec.to_torch().state_dict()) == []
    for sizes in ((13, 16), (14, 21)):
        x = torch.randn(2, 6, *sizes)
        check(spec, x, theirs(x), tmp_path)


def test_blurpool_has_the_stride_of_timm_by_default() -> None:
    op = network("3x3 blurpool", (6, 13, 16)).graph.by_path["n"].op
    assert op.stride == (timm.layers.blur_pool.BlurPool2d(6).stride,) * 2  # type: ignore[attr-defined]


def test_the_smallest_size_of_a_reflection_is_a_limit_of_the_input() -> None:
    spec = network("7x7 blurpool /2", (3, 20, 20))
    assert [size.minimum for size in spec.graph.sizes] == [4, 4]
    with pytest.raises(ArchError, match="E0402"):
        network("7x7 blurpool /2", (3, 3, 20))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_pixelshuffle_is_that_of_torch(scale: int, tmp_path: Path) -> None:
    spec = network(f"pixelshuffle {scale}", (5 * scale**2, 4, 7))
    for sizes in ((4, 7), (6, 3)):
        x = torch.randn(2, 5 * scale**2, *sizes)
        check(spec, x, F.pixel_shuffle(x, scale), tmp_path, limit=0)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_pixelunshuffle_is_that_of_torch(scale: int, channels: int, tmp_path: Path) -> None:
    spec = network(f"pixelunshuffle {scale}", (channels, 4 * scale, 7 * scale))
    for sizes in ((4, 7), (6, 3)):
        x = torch.randn(2, channels, *(scale * size for size in sizes))
        check(spec, x, F.pixel_unshuffle(x, scale), tmp_path, limit=0)


@pytest.mark.parametrize("sizes", [(6,), (4, 6), (4, 2, 6)])
@pytest.mark.parametrize("scale", [2, 3])
def test_pixelshuffle_is_that_of_monai(scale: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    monai = pytest.importorskip("monai.networks.utils")
    channels = 2 * scale ** len(sizes)
    spec = network(f"pixelshuffle {scale}", (channels, *sizes))
    for more in (0, 1):
        x = torch.randn(2, channels, *(size + more for size in sizes))
        check(spec, x, monai.pixelshuffle(x, len(sizes), scale), tmp_path, limit=0)


@pytest.mark.parametrize("sizes", [(6,), (4, 6), (4, 2, 6)])
@pytest.mark.parametrize("scale", [2, 3])
def test_each_of_the_two_undoes_the_other(scale: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    shape = (3, *(scale * size for size in sizes))
    spec = archdsl.loads(f"input: {list(shape)}\nnet: {{a: pixelunshuffle {scale}, b: pixelshuffle {scale}}}\n")
    for more in (0, scale):
        x = torch.randn(2, 3, *(size + more for size in shape[1:]))
        check(spec, x, x, tmp_path, limit=0)


def test_sizes_go_in_steps_of_the_scale() -> None:
    spec = archdsl.loads("input: 3x64x96\nnet: {a: 3x3 conv 4 /2, b: pixelunshuffle 4, c: 3x3 conv 4}\n")
    assert [(size.minimum, size.step) for size in spec.graph.sizes] == [(8, 8), (8, 8)]
    module = spec.to_torch()
    for size in (8, 16, 72):
        assert module(torch.zeros(1, 3, size, 64)).shape[2:] == (size // 8, 8)
    with pytest.raises(ArchError) as caught:
        archdsl.loads("input: 3x64x95\nnet: {a: pixelunshuffle 4}\n")
    (problem,) = caught.value.diagnostics
    assert problem.code == "E0428" and "the width 95" in problem.message
    with pytest.raises(ArchError, match="E0403"):
        archdsl.loads("input: 6x64x95\nnet: {a: pixelshuffle 2}\n")


def test_an_image_has_the_ops_of_onnx(tmp_path: Path) -> None:
    kinds = {"pixelshuffle 2": ["DepthToSpace"], "pixelunshuffle 2": ["SpaceToDepth", "Gather"]}
    for node, wanted in kinds.items():
        network(node, (8, 4, 6)).to_onnx(tmp_path / "n.onnx")
        assert [one.op_type for one in onnx.load(tmp_path / "n.onnx").graph.node] == wanted


@pytest.mark.parametrize("channels", [16, 64, 256, 512])
def test_channelconv_is_that_of_eca(channels: int, tmp_path: Path) -> None:
    torch.manual_seed(channels)
    theirs = timm.layers.eca.EcaModule(channels)
    size = theirs.conv.kernel_size[0]
    spec = archdsl.loads(
        f"input: {channels}x7x9\nnet:\n  eca:\n"
        f"    branches: [identity, {{pool: gap, conv: channelconv {size} nobias sigmoid}}]\n    merge: mul\n"
    )
    weights = dict.fromkeys(spec.weights(), theirs.conv.weight.detach())
    x = torch.randn(2, channels, 7, 9)
    check(spec, x, theirs(x).detach(), tmp_path, weights)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_channelconv_needs_an_odd_size(size: int) -> None:
    with pytest.raises(ArchError, match="E0404" if size else "E0308"):
        network(f"channelconv {size}", (8, 4, 4))
