"""The ONNX file: names, free sizes, external data, memory, and that it is the same network.

Tests `backends/onnx/absorbed.py`, `backends/onnx/lower.py` and `backends/onnx/splits.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import archdsl
from archdsl import ops
from archdsl.backends.onnx import encode
from archdsl.backends.onnx import write as onnx_write
from archdsl.backends.onnx.external import model_files
from archdsl.backends.onnx.half_precision import ONNX_TYPES
from archdsl.backends.onnx.plan import ValueInfo, plan
from archdsl.backends.onnx.records import Dtype, OnnxNode
from archdsl.backends.weights import initial
from archdsl.diagnostics import ArchError
from archdsl.graph import FreeSize, Graph
from archdsl.shapes import Dim, Symbol
from tests.support.handmade import Hand, chain
from tests.support.places import ROOT, TESTS

ort = pytest.importorskip("onnxruntime")

H, W = Dim(Symbol("H", 32)), Dim(Symbol("W", 24))
FREE = (FreeSize("H", 32, 8, 1), FreeSize("W", 24, 8, 1))


def session(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    source = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def block(shape: Any = (3, 16, 16)) -> Hand:
    """A stem, a residual, an auxiliary head, a classifier."""
    hand = Hand(name="small")
    hand.input("image", shape)
    hand.put("stem.conv", ops.Conv(out=8, kernel=3, stride=2, bias=False))
    hand.put("stem.bn", ops.Bn())
    hand.put("stem/relu", ops.Relu())
    hand.put("layer.conv", ops.Conv(out=8, kernel=3))
    hand.put("drop", ops.Dropout())
    hand.put("layer/add", ops.Add(), "drop", "stem/relu")
    hand.put("layer_scale", ops.Scale(init=0.5))
    hand.put("aux_gap", ops.Gap(), training=True)
    hand.put("aux_flat", ops.Flatten(), training=True)
    hand.put("aux", ops.Fc(out=3), training=True)
    hand.put("unread", ops.Conv(out=2, kernel=1), "layer/add")
    hand.put("gap", ops.Gap(), "layer_scale")
    hand.put("fc/flatten", ops.Flatten())
    hand.put("fc", ops.Fc(out=10))
    return hand


def refused(code: str, *args: Any, **more: Any) -> str:
    with pytest.raises(ArchError) as caught:
        onnx_write.write(*args, **more)
    assert caught.value.diagnostics[0].code == code
    return str(caught.value)


def write(graph: Graph, path: Path, **more: Any) -> onnx_write.WrittenModel:
    return onnx_write.write(graph, initial(graph), path, **more)


# --- protobuf's encoding, beside the onnx package's -------------------------------------------------------------

NUMBERS = (0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -300, -(2**63))


def told(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "value", [*NUMBERS, NUMBERS, (3,), 0.0, 0.1, -1e-30, (1.5, 2.0, -0.0), "", "NOTSET", "größer 日本"]
)
def test_attributes_are_as_onnx_writes_them(value: Any) -> None:
    made = OnnxNode("a/b", "Conv", ("x", "", "w"), ("y", "z"), {"first": value, "second": 1})
    theirs = onnx.helper.make_node("Conv", made.inputs, made.outputs, "a/b")
    theirs.attribute.extend(onnx.helper.make_attribute(key, one) for key, one in made.attributes.items())
    assert encode.graph("g", [made], (), (), ()) == told(onnx.GraphProto(name="g", node=[theirs]))


@pytest.mark.parametrize("dtype", list(ONNX_TYPES))
def test_values_and_tensors_are_as_onnx_writes_them(dtype: Dtype) -> None:
    shapes: tuple[tuple[int | str, ...], ...] = ((), ("N", 3, "H", "(W + 1) / 2"), (1, 0, 70000))
    for shape in shapes:
        value = onnx.helper.make_tensor_value_info("größe", ONNX_TYPES[dtype], shape)
        theirs = onnx.GraphProto(name="g", input=[value], output=[value, value], value_info=[value])
        ours = ValueInfo("größe", shape, dtype)
        assert encode.graph("g", (), [ours], [ours, ours], [ours]) == told(theirs)
    for outside in (None, {"location": "m.data", "offset": "4096"}):
        tensor = onnx.TensorProto(name="w", dims=(64, 3, 0, 300), data_type=ONNX_TYPES[dtype])
        for key, text in (outside or {}).items():
            tensor.external_data.add(key=key, value=text)
            tensor.data_location = onnx.TensorProto.EXTERNAL
        assert encode.tensor("w", (64, 3, 0, 300), ONNX_TYPES[dtype], outside) == told(tensor)


def test_the_models_own_fields_are_as_onnx_writes_them() -> None:
    facts = {"name": "größe", "empty": "", "long": "x" * 70_000}
    theirs = onnx.ModelProto(ir_version=10, producer_name="archdsl", producer_version="1", doc_string="ä. b")
    theirs.opset_import.add(domain="", version=20)
    onnx.helper.set_model_props(theirs, facts)
    assert encode.model(10, "archdsl", "1", "ä. b", 20, facts) == told(theirs)


def test_a_file_is_written_without_the_onnx_package(tmp_path: Path) -> None:
    """It takes a fifth of the time that a small network's file takes."""
    code = "import sys; sys.modules['onnx'] = None; from archdsl.cli import main; main()"
    command = [sys.executable, "-c", code, "compile", "lenet5", "-o", "m.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)


# --- names and facts ----------------------------------------------------------------------------------------


def test_names_are_the_networks_own() -> None:
    graph = block().graph({"logits": "fc", "features": "layer_scale"}, aux={"aux": "aux"})
    assert not onnx_write.build(graph, initial(graph)).graph.value_info
    model = onnx_write.build(graph, initial(graph), value_info=True)
    onnx.checker.check_model(model, full_check=True)
    assert [node.name for node in model.graph.node] == [
        "stem.conv",
        "stem.bn",
        "stem/relu",
        "layer.conv",
        "layer/add",
        "layer_scale",
        "gap",
        "fc/flatten",
        "fc",
    ]
    assert {item.name for item in model.graph.initializer} == {
        "stem.conv.weight",
        "stem.bn.weight",
        "stem.bn.bias",
        "stem.bn.running_mean",
        "stem.bn.running_var",
        "layer.conv.weight",
        "layer.conv.bias",
        "layer_scale",
        "fc.weight",
        "fc.bias",
    }
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["logits", "features"]
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info
    }
    assert shapes["stem.conv"] == ["N", 8, 8, 8]
    assert shapes["gap"] == ["N", 8, 1, 1]


def test_a_name_stands_for_one_thing() -> None:
    """A learned factor is named as its node, an output as it likes, and an output may be an input or seen twice."""
    hand = Hand()
    hand.input("x", (4, 5, 5))
    hand.put("s", ops.Scale(init=2.0))
    hand.put("y", ops.Relu())
    hand.put("z", ops.Identity())
    hand.put("end", ops.Scale(init=3.0), "z")
    graph = hand.graph({"y": "s", "x": "x", "one": "y", "two": "y", "three": "z", "end": "end"})
    model = onnx_write.build(graph, initial(graph))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.output] == ["y", "x/out", "one", "two", "three", "end/out"]
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype(np.float32)
    relu = np.maximum(2 * x, 0)
    for got, want in zip(session(model).run(None, {"x": x}), [2 * x, x, relu, relu, relu, 3 * relu], strict=True):
        assert np.array_equal(got, want)


def test_facts_travel_with_the_file(tmp_path: Path) -> None:
    paper = {"title": "A Small Network", "authors": ["A. Author", "B. Other"], "year": 2026, "arxiv": "2601.00001"}
    meta = {"paper": json.dumps(paper), "spec_sha256": "ab", "labels": "[]"}
    graph = block().graph()
    written = write(graph, tmp_path / "a.onnx", meta=meta)
    model = onnx.load(written.path)
    facts = {item.key: item.value for item in model.metadata_props}
    assert facts == {
        **meta,
        "name": "small",
        "weights": "random, seed 0",
        "params": str(3 * 8 * 9 + 16 + 8 * 8 * 9 + 8 + 8 + 18 + 90),
    }
    assert model.doc_string == "small. A. Author, B. Other. A Small Network. 2026. arXiv 2601.00001"
    assert (model.producer_name, model.ir_version) == ("archdsl", 9)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]
    assert onnx_write.build(graph, initial(graph), meta=meta) == model
    for odd in ("no json", "[]", "3", '{"authors": 3}'):
        onnx_write.build(graph, initial(graph), meta={"paper": odd})


@pytest.mark.parametrize(
    "name, nodes, nbytes",
    [("densenet121", 368, 32_278_318), ("mobilenet_v2", 100, 13_978_635), ("shufflenet_v2_x1_0", 173, 9_121_918)],
)
def test_no_larger_than_a_traced_and_slimmed_file(name: str, nodes: int, nbytes: int, tmp_path: Path) -> None:
    """Its nodes and bytes as `benchmarks/size.py` found them: torch 2.14.1, onnxslim 0.1.98. The hash of given weights
    takes 57 bytes more than `random, seed 0`."""
    written = archdsl.load(name).to_onnx(tmp_path / "a.onnx")
    assert len(onnx.load(written.path).graph.node) <= nodes
    assert written.size + 57 <= nbytes


def test_two_files_are_one(tmp_path: Path) -> None:
    graph = block().graph()
    first, second = write(graph, tmp_path / "a.onnx"), write(graph, tmp_path / "b.onnx")
    assert first.sha256 == second.sha256


def test_runtime_has_nothing_to_say(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph = block((3, H, W)).graph({"logits": "fc", "features": "layer_scale"}, sizes=FREE)
    for external in (False, True):
        written = write(graph, tmp_path / "a.onnx", external_data=external)
        session(str(written.path)).run(None, {"image": np.zeros((1, 3, 20, 20), np.float32)})
    assert capfd.readouterr().err == ""


# --- free sizes ---------------------------------------------------------------------------------------------


def axes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("size", [(32, 24), (8, 8), (33, 47), (57, 9)])
def test_free_sizes_run(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    graph = chain(
        (6, H, W),
        ops.MaxPool(kernel=3, stride=(2, 2), ceil=True),
        ops.Gn(groups=3),
        ops.Shuffle(groups=2),
        ops.AvgPool(kernel=3, stride=(1, 1), pad=1, inside=True),
        ops.Lrn(size=2, alpha=0.5),
        ops.Pad(pixels=(1, 0, 2, -1)),
        ops.AvgPool(kernel=2, pad=(1, 0, 0, 1)),
        ops.Upsample(scale=2),
        ops.Ln(),
        sizes=FREE,
    )
    weights = initial(graph)
    model = onnx_write.build(graph, weights)
    onnx.checker.check_model(model, full_check=True)
    assert axes(model.graph.input[0]) == ["N", 6, "H", "W"]
    assert plan(graph).notes == ()
    facts = {item.key: item.value for item in model.metadata_props}
    assert (facts["size H"], facts["size W"]) == ("H >= 8", "W >= 8")
    x = np.random.default_rng(0).standard_normal((3, 6, *size)).astype(np.float32)
    (got,) = session(model).run(None, {"x": x})
    y = F.group_norm(F.max_pool2d(torch.from_numpy(x).double(), 3, 2, ceil_mode=True), 3)
    y = F.channel_shuffle(y, 2)
    y = F.local_response_norm(F.avg_pool2d(y, 3, 1, 1, count_include_pad=False), 2, 0.5)
    y = F.avg_pool2d(F.pad(F.pad(y, (0, -1, 1, 2)), (0, 1, 1, 0)), 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    want = F.layer_norm(y.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2).numpy()
    assert np.abs(got - want).max() / np.abs(want).max() <= 1e-5


@pytest.mark.parametrize("channels", [12, 4098])
def test_a_shuffle_of_few_and_of_many_channels(channels: int) -> None:
    torch = pytest.importorskip("torch")
    graph = chain((channels, H, W), ops.Shuffle(groups=3), sizes=FREE)
    model = onnx_write.build(graph, {})
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node] == (
        ["Gather"] if channels == 12 else ["Reshape", "Transpose", "Reshape"]
    )
    x = np.random.default_rng(0).standard_normal((2, channels, 3, 2)).astype(np.float32)
    (got,) = session(model).run(None, {"x": x})
    assert np.array_equal(got, torch.nn.functional.channel_shuffle(torch.from_numpy(x), 3).numpy())


def test_slices_that_cut_all_channels_are_one_split() -> None:
    """Also out of order; not those that overlap, leave something out, or stand alone."""

    def types(*spans: tuple[int, int]) -> tuple[list[str], list[np.ndarray], set[str]]:
        hand = Hand()
        hand.input("x", (7, 3, 3))
        for number, (start, end) in enumerate(spans):
            hand.put(f"s{number}", ops.Slice(start=start, end=end), "x")
        graph = hand.graph({f"y{number}": f"s{number}" for number in range(len(spans))})
        model = onnx_write.build(graph, {})
        onnx.checker.check_model(model, full_check=True)
        found = session(model).run(None, {"x": np.arange(63, dtype=np.float32).reshape(1, 7, 3, 3)})
        return (
            [n.op_type for n in model.graph.node],
            [y[0, :, 0, 0] / 9 for y in found],
            {t.name for t in model.graph.initializer},
        )

    for spans, want in {
        ((0, 3), (3, 7)): ["Split"],
        ((5, 7), (0, 2), (2, 5)): ["Split"],
        ((0, 7),): ["Slice"],
        ((0, 3), (4, 7)): ["Slice"] * 2,
        ((0, 3), (2, 7)): ["Slice"] * 2,
        ((0, 3), (3, 7), (0, 3)): ["Slice"] * 3,
    }.items():
        kinds, found, constants = types(*spans)
        assert kinds == want
        assert [(int(y[0]), int(y[-1]) + 1) for y in found] == list(spans)
        assert len(constants) == 1 or kinds[0] == "Slice"


def test_one_free_size() -> None:
    graph = chain((6, H, 7), ops.Gn(groups=3), ops.Shuffle(groups=2), sizes=FREE[:1])
    model = onnx_write.build(graph, initial(graph))
    onnx.checker.check_model(model, full_check=True)
    assert axes(model.graph.output[0]) == ["N", 6, "H", 7]
    assert all(n.op_type != "Shape" for n in model.graph.node)
    (got,) = session(model).run(None, {"x": np.ones((2, 6, 5, 7), np.float32)})
    assert got.shape == (2, 6, 5, 7)


@pytest.mark.parametrize(
    ("op", "open_axes"),
    [
        (ops.AvgPool(kernel=(3, 5), adaptive=True), []),
        (ops.AvgPool(kernel=3, stride=(2, 2), ceil=True), []),
        (ops.AvgPool(kernel=3, stride=(1, 1), pad=(0, 1, 0, 0), inside=True), []),
        (ops.MaxPool(kernel=3, stride=(2, 2), ceil=True, pad=(0, 1, 0, 2)), ["H"]),
        (ops.MaxPool(kernel=3, stride=(1, 1), ceil=True, pad=1), ["H", "W"]),
        (ops.AvgPool(kernel=3, stride=(1, 1), ceil=True, pad=1), ["H", "W"]),
        (ops.MaxPool(kernel=(3, 2), stride=(2, 3), ceil=True), ["H"]),
        (ops.Gap(), ["H", "W"]),
        (ops.AvgPool(kernel=1, adaptive=True), ["H", "W"]),
        (ops.Conv(out=2, kernel=3, pad="same"), ["H", "W"]),
    ],
)
def test_what_needs_a_number_pins_its_size(op: Any, open_axes: list[str]) -> None:
    graph = chain((6, H, W), ops.Relu(), op, sizes=FREE)
    planned = plan(graph)
    assert [size.name for size in planned.free] == open_axes
    assert planned.inputs[0].shape == ("N", 6, "H" if "H" in open_axes else 32, "W" if "W" in open_axes else 24)
    pinned = [name for name in ("H", "W") if name not in open_axes]
    assert [note.message for note in planned.notes] == [
        f"{name} is fixed at {32 if name == 'H' else 24} in the ONNX file" for name in pinned
    ]
    assert all("`n1`" in note.label and note.span is not None for note in planned.notes)
    model = onnx_write.build(graph, initial(graph))
    onnx.checker.check_model(model, full_check=True)


def test_sizes_are_free_or_fixed(tmp_path: Path) -> None:
    """A network that gives maps takes images of any size, one that gives classes of one, unless it is said."""
    maps, classes = "input: 3x16x24\nnet: [3x3 conv 4 relu]", "input: 3x16x24\nnet: [3x3 conv 4 relu, gap, fc 5]"
    for text, said, want in (
        (maps, None, ["H", "W"]),
        (classes, None, [16, 24]),
        (maps, False, [16, 24]),
        (classes, True, ["H", "W"]),
    ):
        written = archdsl.loads(text).to_onnx(tmp_path / "a.onnx", free_sizes=said)
        model = onnx.load(written.path)
        assert axes(model.graph.input[0]) == ["N", 3, *want]
        assert {item.key for item in model.metadata_props} & {"size H", "size W"} == (
            {"size H", "size W"} if want[0] == "H" else set()
        )
    flat = archdsl.loads("input: 3x16x24\nnet: [3x3 conv 4 relu, fc 5]").to_onnx(tmp_path / "a.onnx", free_sizes=True)
    assert [note.code for note in flat.notes] == ["N0701", "N0701"]
    assert all("this size only: `flatten`" in note.notes[0] for note in flat.notes)


@pytest.mark.parametrize("free", [True, False])
def test_onnx_runtime_adds_within_the_convolution(tmp_path: Path, free: bool) -> None:
    """Behind a convolution in groups, which it keeps in another memory layout, only sizes that are told let it."""
    body = "{residual: [1x1 conv 64 bn relu, 3x3 conv 64 bn relu groups=16, 1x1 conv 64 bn], then: relu}"
    net = archdsl.loads(f"input: 3x32x32\nnet: [3x3 conv 64 bn relu, {body}, {body}, gap, fc 5]")
    path = net.to_onnx(tmp_path / "a.onnx", free_sizes=free).path
    told = [value.name for value in onnx.load(path).graph.value_info]
    assert bool(told) == free and len(told) <= 4
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "b.onnx"), 4
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "b.onnx").graph.node}
    if not kinds & {"ReorderInput", "ReorderOutput"}:
        pytest.skip("ONNX Runtime does not lay channels out in blocks on this processor")
    assert not kinds & {"Add", "Relu"}


def test_a_pinned_graph_is_not_free() -> None:
    graph = chain((6, H, W), ops.Relu(), sizes=(FreeSize("H", 32, 8, 1, pinned="why"), FREE[1]))
    assert plan(graph).inputs[0].shape == ("N", 6, 32, "W")


def test_a_size_may_be_called_n() -> None:
    graph = chain((6, Dim(Symbol("N", 8)), 8), ops.Relu(), sizes=[FreeSize("N", 8, 1, 1)])
    assert plan(graph).inputs[0].shape == ("batch", 6, "N", 8)


# --- the file -----------------------------------------------------------------------------------------------


def test_external_data(tmp_path: Path) -> None:
    graph = block().graph()
    told: list[tuple[int, int]] = []
    inside = write(graph, tmp_path / "in.onnx")
    written = write(graph, tmp_path / "out.onnx", external_data=True, progress=lambda *n: told.append(n))
    assert inside.data is None
    assert written.data is not None
    assert written.data.path == tmp_path / "out.onnx.data"
    assert written.data.size == os.path.getsize(written.data.path)
    assert told[-1][0] == told[-1][1] == plan(graph).nbytes
    onnx.checker.check_model(written.path, full_check=True)
    model = onnx.load(written.path)
    assert {i.name: onnx.numpy_helper.to_array(i).tolist() for i in model.graph.initializer} == {
        i.name: onnx.numpy_helper.to_array(i).tolist() for i in onnx.load(inside.path).graph.initializer
    }
    raw = onnx.load(written.path, load_external_data=False)
    outside = [i for i in raw.graph.initializer if i.data_location == onnx.TensorProto.EXTERNAL]
    assert [i.name for i in outside] == ["layer.conv.weight"]
    assert all(int(fact.value) % 4096 == 0 for i in outside for fact in i.external_data if fact.key == "offset")
    x = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    results = [session(str(w.path)).run(None, {"image": x})[0] for w in (inside, written)]
    assert np.array_equal(*results)


def test_large_networks_go_outside_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_write, "MAX_FILE", 3000)
    graph = block().graph()
    assert write(graph, tmp_path / "a.onnx").data is not None
    refused("E0705", graph, initial(graph), tmp_path / "b.onnx", external_data=False)
    assert sorted(os.listdir(tmp_path)) == ["a.onnx", "a.onnx.data"]
    with pytest.raises(ArchError, match="E0705"):
        onnx_write.build(graph, initial(graph))


def test_terabytes_are_refused_at_once(tmp_path: Path) -> None:
    graph = chain((10**6,), ops.Fc(out=10**6))
    for external in (None, True, False):
        message = refused("E0705", graph, initial(graph), tmp_path / "a.onnx", external_data=external)
        assert "4,000,004,000,000 bytes" in message
    with pytest.raises(ArchError, match="E0705"):
        onnx_write.build(graph, initial(graph))
    assert os.listdir(tmp_path) == []


def test_more_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_write, "free_memory", lambda: 1000)
    graph = block().graph()
    assert "of memory" in refused("E0705", graph, initial(graph), tmp_path / "a.onnx")


def test_only_our_own_model_is_replaced(tmp_path: Path) -> None:
    graph, target = block().graph(), tmp_path / "a.onnx"
    write(graph, target)
    for name in ("a.onnx.data", "a.onnx.2.data", "a.onnx.data"):  # the old model keeps its own until it is replaced
        write(graph, target, external_data=True)
        assert sorted(os.listdir(tmp_path)) == ["a.onnx", name]
        assert np.isfinite(session(str(target)).run(None, {"image": np.zeros((1, 3, 16, 16), np.float32)})[0]).all()
    other = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []), producer_name="someone")
    target.write_bytes(other.SerializeToString())
    before = target.read_bytes()
    refused("E0703", graph, initial(graph), target)
    assert target.read_bytes() == before
    write(graph, target, force=True)
    (tmp_path / "b.onnx.data").write_text("not ours")
    refused("E0703", graph, initial(graph), tmp_path / "b.onnx", external_data=True)
    assert sorted(os.listdir(tmp_path)) == ["a.onnx", "a.onnx.data", "b.onnx.data"]
    refused("E0702", graph, initial(graph), target, inputs=[target], force=True)


def test_the_files_of_a_model_are_those_that_it_names(tmp_path: Path) -> None:
    value = onnx.numpy_helper.from_array(np.zeros(600, np.float32), "w")
    long = "n" * 130  # its length has two bytes
    for names in ([], ["w.bin"], [f"{long}.data", "b.data"], ["../outside.bin"], ["missing"]):
        (tmp_path / "in").mkdir(exist_ok=True)
        tensors = []
        for name in names:
            onnx.external_data_helper.set_external_data(value, name)
            tensors.append(onnx.TensorProto.FromString(value.SerializeToString()))
            if name != "missing":
                (tmp_path / "in" / name).touch()
        model = tmp_path / "in" / "m.onnx"
        model.write_bytes(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors)).SerializeToString())
        beside = [model.with_name(name) for name in sorted(names) if name not in ("../outside.bin", "missing")]
        assert model_files(model) == (model, *beside)
    assert model_files(tmp_path / "none.onnx") == ()


def test_weights_of_another_network(tmp_path: Path) -> None:
    graph = block().graph()
    weights = {key: value for key, value in initial(graph).items() if key != "fc.bias"}
    refused("E0603", graph, weights, tmp_path / "a.onnx")
    refused("E0603", graph, {**weights, "fc.bias": np.zeros(11, np.float32)}, tmp_path / "a.onnx")
    assert os.listdir(tmp_path) == []
    doubles = {key: np.asfortranarray(value.astype(np.float64)) for key, value in initial(graph).items()}
    got = onnx_write.build(graph, doubles).graph
    assert got.initializer == onnx_write.build(graph, initial(graph)).graph.initializer


def test_planning_needs_no_heavy_library() -> None:
    text = (
        "import sys, archdsl.backends.onnx.plan; print(sorted({'onnx', 'torch', 'numpy', 'onnxruntime'} &"
        " {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


MEMORY = """
import resource, sys
from tests.support.handmade import chain
from archdsl import ops
from archdsl.backends.onnx.write import write
from archdsl.backends.weights import initial, load, save
graph = chain((4096,), *[ops.Fc(out=4096, bias=False) for _ in range(5)])
save(initial(graph), sys.argv[1] + "/a.safetensors")
weights = load(sys.argv[1] + "/a.safetensors")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(graph, weights, sys.argv[1] + "/a.onnx", external_data=sys.argv[2] == "1")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("external", ["0", "1"])
def test_memory_stays_below_two_copies(tmp_path: Path, external: str) -> None:
    """320 MB of weights pass from a mapped file to the output; only the mapping's own pages are counted."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path), external],
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert int(result.stdout) * 1024 < 1.15 * 5 * 4096 * 4096 * 4


@pytest.mark.parametrize("pad", [0, 1, (1, 0, 0, 1), (0, 2, 1, 0)])
def test_ceil_pools_at_every_size(pad: Any) -> None:
    """The end pads of a free ceil pool are one number for all sizes: each must see the windows of torch's rule."""
    torch = pytest.importorskip("torch")
    tried = 0
    for kernel in (2, 3, 5):
        for stride in (1, 2, 3):
            op = ops.MaxPool(kernel=kernel, stride=(stride, stride), pad=pad, ceil=True)
            try:
                graph = chain((1, H, W), op, sizes=FREE)
            except ops.OpError:
                continue
            op = op.settle([(1, H, W)])
            run = session(onnx_write.build(graph, {})) if len(plan(graph).free) == 2 else None
            for size in range(6, 15) if run else ():
                x = np.random.default_rng(size).standard_normal((1, 1, size, size)).astype(np.float32)
                (got,) = run.run(None, {"x": x})  # type: ignore[union-attr]
                shape = op.infer([(1, size, size)])
                assert got.shape == (1, *shape)
                top, left = op.pads((1, size, size)).begins
                wide = torch.nn.functional.pad(torch.from_numpy(x), (left, 9, top, 9), value=-np.inf)
                want = torch.nn.functional.max_pool2d(wide, kernel, stride)[:, :, : shape[1], : shape[2]]
                assert np.array_equal(got, want.numpy())
                tried += 1
    assert tried >= 27
