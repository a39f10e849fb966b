"""Half precision and int8: types in the file, what stays in single precision, and how far outputs move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from PIL import Image

import archdsl
from archdsl.backends.onnx.numbers import Numbers
from archdsl.backends.onnx.records import Stored
from archdsl.backends.onnx.write import build
from archdsl.cli import main
from archdsl.network import Network
from archdsl.runtime.quantise import FEW, about
from archdsl.shapes import concrete
from tests.support.places import CAT

HALF = {"fp16": (TensorProto.FLOAT16, 2e-3), "bf16": (TensorProto.BFLOAT16, 2e-2)}
"""Type, and how far outputs may move: some ulps of 2^-11 and 2^-8 of the largest."""

EVERY_OP = """
input: 3x16x16
net:
  a: affine 0.5 [0.1, 0.2, 0.3]
  c: 3x3 conv 8 bn relu6
  d: 2x2 deconv 8 /2 bn leaky_relu
  dw: 3x3 dwconv nobias
  alone: bn
  gn: gn 2
  ln: ln
  lrn: lrn 5
  even: lrn 4
  act: prelu
  m: 3x3 maxpool /2 pad=1
  ap: 3x3 avgpool /2 pad=1 inside
  up: upsample 2
  bi: upsample 2 linear
  g: {branches: [identity, {p: gap, f: 1x1 conv 8 hardsigmoid}], merge: mul}
  s: scale 0.5
  of: offset 0.5 batched
  ch: {branches: [identity, {m: mean channels, n: sigmoid}], merge: mul}
  l2: l2 channels
  dv: div <- ch, l2
  mx: max channels
  mi: minimum broadcast <- dv, mx
  gm: gmp
  sb: sub broadcast <- mi, gm
  gs: softmax groups=2
  ps: softmax parts=2
  ss: softmax space
  su: sum space
  br: add broadcast <- gs, su
  ab: abs
  big: maximum <- ab, gs
  ms: mean space
  last: add broadcast <- s, ms
  sh: shuffle 2
  sl: slice 0 4
  pad: pad 1
  e: elu
  t: scaled_tanh
  si: silu
  ge: gelu
  hs: hardswish
  ad: 3x3 avgpool adaptive
  r: {residual: [1x1 conv 4]}
  fc: fc 6 tanh
  sm: softmax
"""


def inputs(net: Network, batch: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    nodes = [net.graph.nodes[i] for i in net.graph.inputs]
    return {n.path: rng.standard_normal((batch, *concrete(n.shape))).astype(np.float32) for n in nodes}


def run(model: onnx.ModelProto, x: dict[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    found: list[Any] = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(
        None, x
    )
    return found


def moved(a: list[Any], b: list[Any]) -> float:
    return max(float(np.abs(p - q).max() / np.abs(p).max()) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("untouched", [False, True])
def test_every_op_in_half(untouched: bool) -> None:
    net = archdsl.loads(EVERY_OP)
    graph = net.graph if untouched else net.optimised(["drop-identities", "merge-pads"])
    weights = net.weights(seed=1)
    single = build(graph, weights)
    for precision, (type_, bound) in HALF.items():
        model = build(graph, weights, precision=precision)  # type: ignore[arg-type]
        onnx.checker.check_model(model, full_check=True)
        assert {i.type.tensor_type.elem_type for i in (*model.graph.input, *model.graph.output)} == {TensorProto.FLOAT}
        kinds = {t.name: t.data_type for t in model.graph.initializer}
        assert kinds["dw.weight"] == kinds["fc.weight"] == type_
        assert kinds["alone.running_var"] == TensorProto.FLOAT
        if precision == "fp16":
            assert moved(run(single, inputs(net)), run(model, inputs(net))) <= bound


def test_what_stays_single() -> None:
    net = archdsl.loads(EVERY_OP)
    model = build(net.graph, net.weights(seed=1), precision="fp16")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.graph.value_info, *inferred.graph.output)}
    for node in inferred.graph.node:
        if node.op_type in ("Softmax", "LRN", "InstanceNormalization", "Pow", "ReduceSum", "ReduceL2"):
            assert types[node.input[0]] == TensorProto.FLOAT, node.name
        if node.op_type in ("Conv", "Gemm", "Relu", "MaxPool"):
            assert types[node.input[0]] == TensorProto.FLOAT16, node.name


def test_bfloat16_by_the_reference() -> None:
    """ONNX Runtime has no kernels for it on a CPU; onnx's own reference has."""
    net = archdsl.load("lenet5")
    weights = net.weights(seed=1)
    single, half = (build(net.graph, weights, precision=p) for p in ("fp32", "bf16"))  # type: ignore[arg-type]
    x = inputs(net)
    assert half.opset_import[0].version == 22
    assert moved(ReferenceEvaluator(single).run(None, x), ReferenceEvaluator(half).run(None, x)) <= HALF["bf16"][1]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_networks_in_fp16(name: str) -> None:
    net = archdsl.load(name)
    graph = net.optimised()
    from archdsl.backends.weights import folded

    weights = folded(net.weights(seed=1), graph)
    x = inputs(net, 1)
    model = build(graph, weights, precision="fp16")
    assert moved(run(build(graph, weights), x), run(model, x)) <= HALF["fp16"][1]
    assert model.ByteSize() < 0.56 * build(graph, weights).ByteSize()
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 2


def test_rounding_of_bfloat16() -> None:
    """Against torch's own."""
    torch = pytest.importorskip("torch")
    values = np.concatenate(
        [np.random.default_rng(0).standard_normal(10_000), [0, -0.0, 1e-40, 3.4e38, np.inf, -np.inf, np.nan, 65505]]
    )
    array = values.astype(np.float32)
    item = Stored("w", array.shape, "bfloat16")
    got = Numbers("n", {"w": array}).of(item)
    want = torch.from_numpy(array).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    finite = np.isfinite(array)
    assert np.array_equal(got[finite], want[finite])
    assert (got[-2] & 0x7F80) == 0x7F80 and got[-2] & 0x7F


def test_too_large_for_half(tmp_path: Path) -> None:
    net = archdsl.loads("input: 2\nname: n\nnet: {f: fc 2}")
    weights = {"f.weight": np.array([[1e5, 1], [1, 1]], np.float32), "f.bias": np.array([np.inf, 0], np.float32)}
    written = net.to_onnx(tmp_path / "a.onnx", weights, precision="fp16")
    message = "`f.weight` has values too large for fp16: they became infinite"
    assert [(n.code, n.message) for n in written.notes] == [("W0717", message)]
    assert not net.to_onnx(tmp_path / "a.onnx", weights).notes


# --- int8 -------------------------------------------------------------------------------------------------------

SMALL = """
name: small
input: 3x32x32
defaults: {conv: bn relu}
net: {a: 3x3 conv 8, b: {residual: [3x3 conv 8, 3x3 conv 8 linear], then: relu}, p: gap, fc: fc 10}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    folder = tmp_path / "photos" / "cats"
    folder.mkdir(parents=True)
    with Image.open(CAT) as cat:
        for n in range(4):
            cat.convert("RGB").crop((20 * n, 10 * n, 200 + 10 * n, 180 + 10 * n)).save(folder / f"{n}.png")
    return tmp_path


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_int8(here: Path) -> None:
    done = cli(
        "compile", "small.yaml", "--precision", "int8", "--calibrate", "photos", "-o", "q.onnx", "--format", "json"
    )
    assert done.exit_code == 0, done.output
    assert "warning[W0862]: calibrated on 4 images" in done.stderr
    told = json.loads(done.stdout)["int8"]
    assert told["images"] == 4 and 0.99 < told["least"] <= told["cosine"] <= 1 and 0 <= told["agreement"] <= 1
    assert 1 <= told["classes"] <= 4
    model = onnx.load("q.onnx")
    facts = {p.key: p.value for p in model.metadata_props}
    assert (model.producer_name, facts["precision"], facts["name"]) == ("archdsl", "int8", "small")
    assert "preprocess" in facts and "folded" not in facts
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds and "DequantizeLinear" in kinds and "BatchNormalization" not in kinds
    scales = {t.name: t.dims for t in model.graph.initializer}
    weight = next(
        t for t in model.graph.initializer if t.data_type == TensorProto.INT8 and list(t.dims) == [8, 3, 3, 3]
    )
    assert list(scales[weight.name.replace("_quantized", "_scale")]) == [8], "a scale for each channel"
    assert "small, int8, weights random" in cli("predict", "q.onnx", str(CAT)).stdout
    assert sorted(p.name for p in here.iterdir()) == ["photos", "q.onnx", "small.yaml"]


def test_few_images_are_told_of() -> None:
    assert about([CAT] * FEW) == ()
    (told,) = about([CAT])
    assert (told.code, told.message.split(":")[0]) == ("W0862", "calibrated on 1 image")


def test_int8_is_int8_throughout(here: Path) -> None:
    """ONNX Runtime runs all of it in int8, behind skips as well, and knows every attribute of our pools."""
    body = "{residual: [3x3 conv 8, 3x3 conv 8 linear], then: relu}"
    net = (
        f"[3x3 conv 8, 3x3 maxpool /2, {body}, {body}, 2x2 avgpool /2, {{inception: {{a: 1x1 conv 8, b: 3x3 conv 8}}}},"
        " gap, fc 10]"
    )
    Path("skips.yaml").write_text(f"name: skips\ninput: 3x32x32\ndefaults: {{conv: bn relu}}\nnet: {net}\n")
    done = cli("compile", "skips.yaml", "--precision", "int8", "--calibrate", "photos", "-o", "q.onnx")
    assert done.exit_code == 0, done.output
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = "o.onnx", 4
    ort.InferenceSession("q.onnx", options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load("o.onnx").graph.node]
    assert (kinds.count("QLinearConv"), kinds.count("QLinearAdd")) == (7, 2), kinds
    assert not {"Conv", "Add", "Relu", "Gemm"} & {*kinds}
    assert (kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")) == (1, 1)


def test_int8_refuses(here: Path) -> None:
    asked = ("compile", "small.yaml", "--precision", "int8", "-o", "q.onnx")
    assert cli(*asked).exit_code == 2
    assert cli("compile", "small.yaml", "--calibrate", "photos").exit_code == 2
    (here / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        done = cli(*asked, "--calibrate", folder)
        assert (done.exit_code, "E0861" in done.stderr) == (2, True)
    (here / "photos" / "a.jpg").write_bytes(b"no picture")
    (here / "photos" / "b.png").write_bytes(b"")
    done = cli(*asked, "--calibrate", "photos")
    assert done.exit_code == 1
    assert "`a.jpg`" in done.stderr and "`b.png`" in done.stderr
    assert not (here / "q.onnx").exists()


INT8 = {
    1: "a: 15 conv 16 /2 bn relu, m: 3 maxpool /2, b: {residual: [3 conv 16 bn relu, 3 conv 16 bn], then: relu}",
    3: "a: 3x3x3 conv 8 bn relu, m: 3x3x3 maxpool /2, b: {residual: [3x3x3 conv 8 bn relu, 3x3x3 conv 8 bn]}, r: relu",
}


@pytest.mark.parametrize(("axes", "size"), [(1, "12x300"), (3, "2x10x12x14")])
def test_int8_of_signals_and_volumes(axes: int, size: str, here: Path) -> None:
    """Calibrated on arrays, as `runtime/images/array.py` reads them; all of it runs in int8."""
    shape = tuple(map(int, size.split("x")))
    Path("net.yaml").write_text(f"name: net\ninput: {size}\nnet: {{{INT8[axes]}, g: gap, fc: fc 10}}\n")
    Path("scans").mkdir()
    for number in range(4):
        np.save(f"scans/{number}.npy", np.random.default_rng(number).standard_normal(shape))
    asked = ("compile", "net.yaml", "--precision", "int8", "-o", "q.onnx", "--calibrate")
    done = cli(*asked, "scans", "--format", "json")
    assert done.exit_code == 0, done.output
    assert "warning[W0862]: calibrated on 4 arrays" in done.stderr
    assert json.loads(done.stdout)["int8"]["least"] > 0.99
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = "o.onnx", 4
    session = ort.InferenceSession("q.onnx", options, providers=["CPUExecutionProvider"])
    assert session.run(None, {"input": np.zeros((3, *shape), np.float32)})[0].shape == (3, 10)
    kinds = [node.op_type for node in onnx.load("o.onnx").graph.node]
    assert (kinds.count("QLinearConv"), kinds.count("QLinearAdd")) == (3, 1), kinds
    assert not {"Conv", "Add", "Relu", "Gemm", "MaxPool", "GlobalAveragePool"} & {*kinds}
    done = cli(*asked, "photos")
    assert done.exit_code == 1 and "the network's input is" in done.stderr and "help: pass " in done.stderr


def test_arrays_that_cannot_be_used(here: Path) -> None:
    """All are reported together, with the reason; an image's network takes arrays as well."""
    asked = ("compile", "small.yaml", "--precision", "int8", "-o", "q.onnx", "--calibrate", "arrays")
    Path("arrays").mkdir()
    good = np.random.default_rng(0).random((3, 32, 32))
    np.save("arrays/0.npy", good)
    assert cli(*asked).exit_code == 0
    np.save("arrays/1.npy", good[None])
    np.save("arrays/2.npy", np.where(good > 0.9, np.nan, good))
    np.save("arrays/3.npy", np.array([{}], object))
    np.save("arrays/4.npy", good.astype(complex))
    np.save("arrays/5.npy", 1.0)
    Path("arrays/6.npy").write_bytes(Path("arrays/0.npy").read_bytes()[:5000])
    Path("arrays/7.npy").write_bytes(b"")
    done = cli(*asked)
    assert done.exit_code == 1
    for why in (
        "`1.npy` has the shape 1 x 3 x 32 x 32; the network's input is 3 x 32 x 32",
        "`2.npy` is not a usable array: it contains infinities or NaN",
        "`3.npy` is not a usable array: it is no array that `numpy.save` wrote",
        "`4.npy` is not a usable array: it is no array of numbers",
        "`5.npy` has the shape one number",
        "`6.npy` is not a usable array",
        "`7.npy` is not a usable array",
    ):
        assert why in done.stderr, why
    assert "save one sample in each file, C x H x W, without the batch" in done.stderr


@pytest.mark.parametrize(("size", "form"), [("2x40", "C x L"), ("2x8x9", "C x H x W"), ("1x6x7x8", "C x D x H x W")])
def test_arrays_of_a_wrong_shape_and_of_one_value(here: Path, size: str, form: str) -> None:
    """A batch, no channels or the channels last: the help has the form of this network's input."""
    shape = tuple(map(int, size.split("x")))
    network = archdsl.loads(f"input: {size}\nnet: {{a: conv 3 kernel=3, g: gap, f: fc 2}}\n")
    for wrong in ((1, *shape), shape[1:], (*shape[1:], shape[0] + 1)):
        np.save("wrong.npy", np.ones(wrong, np.float32))
        with pytest.raises(archdsl.ArchError, match="E0806") as caught:
            network.to_onnx("q.onnx", precision="int8", calibrate=["wrong.npy"])
        assert caught.value.diagnostics[0].help == f"save one sample in each file, {form}, without the batch"
    for name in ("0.npy", "1.npy"):
        np.save(name, np.zeros(shape, np.float32))
    dark = network.to_onnx("q.onnx", precision="int8", calibrate=["0.npy", "1.npy"])
    assert any("all values of the calibration samples are 0" in note.message for note in dark.notes)
    np.save("1.npy", np.ones(shape, np.float32))
    light = network.to_onnx("r.onnx", precision="int8", calibrate=["0.npy", "1.npy"])
    assert not any("all values" in note.message for note in light.notes)


def test_half_on_the_command_line(here: Path) -> None:
    assert cli("compile", "small.yaml", "--precision", "fp16", "-o", "h.onnx").exit_code == 0
    assert cli("predict", "h.onnx", str(CAT)).exit_code == 0
    done = cli("compile", "small.yaml", "--precision", "bf16", "-o", "b.onnx")
    assert done.exit_code == 0 and "N0718" in done.stderr
    assert cli("compile", "small.yaml", "--to", "torch", "--precision", "fp16").exit_code == 2
