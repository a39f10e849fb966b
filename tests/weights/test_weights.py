"""Weights: the same start everywhere, files that are broken or hostile, names and shapes that do not fit.

Tests `backends/weights/read.py`, `backends/weights/safetensors.py` and `backends/weights/tensors.py`.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import pickle
import resource
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl import ops
from archdsl.backends.weights import Array, as_weights, fit, initial, load, save
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.graph import Graph
from tests.support.handmade import Hand


def net(classes: int = 10, prefix: str = "", aux: bool = False) -> Graph:
    hand = Hand(name="net")
    hand.input("x", (3, 8, 8))
    hand.put(f"{prefix}conv1", ops.Conv(out=4, kernel=3, bias=False))
    hand.put(f"{prefix}norm1", ops.Bn())
    hand.put("edge", ops.Conv(out=1, kernel=3, bias=False, weight=((0.0, 1.0, 0.1),) * 3))
    hand.put("flat", ops.Flatten())
    if aux:
        hand.put("side", ops.Fc(out=2), "flat", training=True)
    hand.put("fc", ops.Fc(out=classes), "flat")
    return hand.graph(aux={"side": "side"} if aux else None)


def refused(code: str, action: Any, *args: Any, status: int = 1, **more: Any) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        action(*args, **more)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.status) == (code, status), str(caught.value)
    return diagnostic


# --- the start ----------------------------------------------------------------------------------------------


def test_start_depends_on_seed_and_name_only() -> None:
    small, large = initial(net(aux=True)), initial(net(12))
    assert np.array_equal(small["conv1.weight"], large["conv1.weight"])
    assert np.array_equal(small["conv1.weight"], small["conv1.weight"])
    assert not np.array_equal(small["conv1.weight"], initial(net(), 1)["conv1.weight"])
    assert not np.array_equal(small["fc.weight"][:2], small["side.weight"])
    assert list(small) == [tensor.key for tensor in net(aux=True).tensors]
    assert small.source == "random, seed 0"


def test_start_is_fixed_for_all_time() -> None:
    """Files made by any version from the same seed agree; a change here breaks that promise."""
    weights = initial(net())
    digest = hashlib.sha256(weights["conv1.weight"].tobytes() + weights["fc.weight"].tobytes()).hexdigest()
    assert digest == "408d268c4ed1d1c173a31ffa9cfc2b328db2fa574950516f7ca2f614a1bbd7a4"


def test_rules_of_the_start() -> None:
    hand = Hand()
    hand.input("x", (64, 8, 8))
    hand.put("conv", ops.Conv(out=256, kernel=3))
    hand.put("flat", ops.Flatten())
    hand.put("fc", ops.Fc(out=20))
    weights = initial(hand.graph())
    assert weights["conv.weight"].dtype == np.float32
    assert weights["conv.weight"].std() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    assert weights["conv.weight"].mean() == pytest.approx(0, abs=1e-3)
    bound = (256 * 64) ** -0.5
    assert bound * 0.99 < np.abs(weights["fc.weight"]).max() <= bound
    assert weights["fc.weight"].mean() == pytest.approx(0, abs=bound / 50)
    assert not weights["conv.bias"].any()
    small = initial(net())
    assert small["norm1.num_batches_tracked"].dtype == np.int64
    assert small["norm1.num_batches_tracked"].shape == ()
    assert np.array_equal(small["edge.weight"][0, 2], np.array([[0, 1, 0.1]] * 3, np.float32))


def test_nothing_is_made_before_it_is_asked_for() -> None:
    hand = Hand()
    hand.input("x", (10**6,))
    hand.put("fc", ops.Fc(out=10**6))
    weights = initial(hand.graph())
    assert weights.nbytes == 4 * (10**12 + 10**6)
    assert weights.entries["fc.weight"].shape == (10**6, 10**6)


# --- safetensors --------------------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    weights = initial(net(aux=True), 3)
    written = save(weights, tmp_path / "a.safetensors", {"name": "net", "spec_sha256": "ab"})
    assert (written.size, written.sha256) == (
        os.path.getsize(written.path),
        hashlib.sha256(written.path.read_bytes()).hexdigest(),
    )
    again = load(written.path)
    assert again.source == f"sha256:{written.sha256}"
    assert set(again) == set(weights)
    for key in weights:
        assert again[key].dtype == weights[key].dtype
        assert np.array_equal(again[key], weights[key])
    assert [*fit(again, net(aux=True))] == [*weights]
    save(again, tmp_path / "a.safetensors")  # our own file may be written again
    (tmp_path / "b.safetensors").write_bytes(b"someone else's")
    refused("E0703", save, again, tmp_path / "b.safetensors", status=2)


def test_other_readers_read_it(tmp_path: Path) -> None:
    other = pytest.importorskip("safetensors.numpy")
    weights = initial(net())
    save(weights, tmp_path / "a.safetensors")
    found = other.load_file(tmp_path / "a.safetensors")
    assert {key: value.tolist() for key, value in found.items()} == {key: weights[key].tolist() for key in weights}


def test_halves_become_floats(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("safetensors.torch")
    values = torch.randn(3, 5)
    kinds = {"bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64, "i32": torch.int32, "bool": torch.bool}
    other.save_file({name: values.to(kind) for name, kind in kinds.items()}, tmp_path / "a.safetensors")
    weights = load(tmp_path / "a.safetensors")
    for name, kind in kinds.items():
        want = values.to(kind).float() if kind.is_floating_point else values.to(kind).long()
        assert weights[name].dtype == want.numpy().dtype
        assert weights.entries[name].dtype == str(want.numpy().dtype)
        assert np.array_equal(weights[name], want.numpy())


def packed(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def slot(shape: Any = (2,), at: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": at}


BROKEN = {
    "empty": b"",
    "short": b"\1\2\3",
    "cut off in the header": packed({"a": slot()})[:20],
    "cut off in the data": packed({"a": slot()}, bytes(7)),
    "too long": packed({"a": slot()}, bytes(9)),
    "header of 2^40": packed({}, length=1 << 40),
    "header of 2^64-1": packed({}, length=(1 << 64) - 1),
    "no JSON": packed(b"{oops"),
    "no UTF-8": packed(b'{"\xff": 1}'),
    "deep JSON": packed(b"[" * 100_000 + b"]" * 100_000),
    "a list": packed([]),
    "no tensors": packed({"__metadata__": {"a": "b"}}),
    "key twice": packed(b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}}'),
    "no slot": packed({"a": 3}),
    "overlap": packed({"a": slot(), "b": slot()}, bytes(8)),
    "gap": packed({"a": slot(), "b": slot(at=(12, 20))}, bytes(20)),
    "shape larger than its bytes": packed({"a": slot((10**6, 10**6))}, bytes(8)),
    "shape that overflows": packed({"a": slot((1 << 62, 1 << 62))}, bytes(8)),
    "negative size": packed({"a": slot((-1, -2))}, bytes(8)),
    "true for a size": packed({"a": slot((True, 2))}, bytes(8)),
    "fractional size": packed({"a": slot((2.0,))}, bytes(8)),
    "shape is text": packed({"a": slot("2")}, bytes(8)),
    "many axes": packed({"a": slot((1,) * 40 + (2,))}, bytes(8)),
    "offsets backwards": packed({"a": slot(at=(8, 0))}, bytes(8)),
    "offsets beyond": packed({"a": slot(at=(8, 16))}, bytes(8)),
    "one offset": packed({"a": slot(at=(8,))}, bytes(8)),
    "unknown type": packed({"a": slot(dtype="F8_E4M3")}, bytes(8)),
    "type is a list": packed({"a": slot(dtype=[])}, bytes(8)),
    "control characters": packed({"\x1b[31m" * 100: 3}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_safetensors(what: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(BROKEN[what])
    diagnostic = refused("E0601", load, tmp_path / "a.safetensors")
    assert len(diagnostic.message) < 400


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "directory.pth").mkdir()
    (tmp_path / "a.txt").write_text("no weights")
    refused("E0607", load, tmp_path / "missing.safetensors", status=2)
    refused("E0607", load, tmp_path / ("n" * 300 + ".pth"), status=2)
    refused("E0607", load, f"{tmp_path}/a\0.pth", status=2)
    refused("E0601", load, tmp_path / "pipe.safetensors")
    refused("E0601", load, tmp_path / "directory.pth")
    refused("E0601", load, tmp_path / "a.txt")


# --- torch's files ------------------------------------------------------------------------------------------


def torch_file(path: Path, value: Any, **more: Any) -> Path:
    torch = pytest.importorskip("torch")
    torch.save(value, path, **more)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    weights = initial(net(), 2)
    state = {key: torch.from_numpy(weights[key].copy()) for key in weights}
    state["conv1.weight"] = state["conv1.weight"].permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    state["fc.weight"] = torch.nn.Parameter(state["fc.weight"])
    path = torch_file(tmp_path / "a.pth", state, _use_new_zipfile_serialization=zipped)
    again = fit(load(path), net())
    assert all(np.array_equal(again[key], weights[key]) for key in weights)
    assert again.source == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert {note.code for note in again.notes} <= {"W0625"}


def test_wrappers_and_prefixes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = initial(net(), 2)
    state = {f"module.{key}": torch.from_numpy(weights[key].copy()).to(torch.float64) for key in weights}
    state["module.norm1.num_batches_tracked"] = torch.tensor(7)
    path = torch_file(tmp_path / "a.pt", {"epoch": 3, "state_dict": state, "optimizer": {}})
    again = fit(load(path), net())
    assert [note.message for note in again.notes if note.code != "W0625"] == [
        "read the tensors below `state_dict.module`"
    ]
    assert np.array_equal(again["fc.weight"], weights["fc.weight"])
    assert again["norm1.num_batches_tracked"] == 7


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_code_is_never_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for number, zipped in enumerate([True, False]):
        path = torch_file(
            tmp_path / f"{number}.pth", {"a": Attack(tmp_path / "ran")}, _use_new_zipfile_serialization=zipped
        )
        diagnostic = refused("E0601", load, path)
        assert "`posix.system`" in diagnostic.message
        assert "weights_only" not in str(diagnostic)
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(Attack(tmp_path / "ran")))
    refused("E0601", load, plain)
    assert not (tmp_path / "ran").exists()


def test_a_tensor_larger_than_its_bytes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, zipped in enumerate([True, False]):
        bomb = torch.ones(1).expand(10**6, 10**6)
        path = torch_file(tmp_path / f"{number}.pth", {"fc.weight": bomb}, _use_new_zipfile_serialization=zipped)
        assert path.stat().st_size < 3000
        diagnostic = refused("E0602", load, path)
        assert "4,000,000,000,000 bytes" in diagnostic.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_broken_torch_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole = torch_file(tmp_path / "whole.pth", {"a": torch.ones(1000)}).read_bytes()
    old = torch_file(tmp_path / "old.pth", {"a": torch.ones(1000)}, _use_new_zipfile_serialization=False).read_bytes()
    squeezed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as out:
        for name in archive.namelist():
            out.writestr(name, archive.read(name))
    contents = [
        b"",
        b"x",
        b"PK\x03\x04",
        b"hello, this is text",
        b"\x80\x02",
        b"\x80\x04}.",
        pickle.dumps([1]),
        b"e" * 4000,
        *(whole[:n] for n in (10, 100, 700, len(whole) // 2, len(whole) - 5)),
        *(old[:n] for n in (10, 100, len(old) // 2, len(old) - 5)),
        whole.replace(b"data.pkl", b"data.pkx"),
        squeezed.getvalue(),
        b"(" * 100_000,
        b"\x80\x02" + b"(" * 100_000 + b".",
    ]
    path = tmp_path / "broken.pth"
    for content in contents:
        path.write_bytes(content)
        refused("E0601", load, path)


def test_what_is_no_plain_tensor(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values: list[Any] = [
        [torch.ones(2)],
        {},
        {"a": 1},
        {3: torch.ones(2)},
        torch.ones(2),
        "text",
        {"state_dict": {"state_dict": {}}},
        {"a": torch.ones(2).to_sparse()},
        {"a": torch.ones(2, dtype=torch.complex64)},
        {"a": torch.ones(2, device="meta")},
    ]
    for number, value in enumerate(values):
        refused("E0601", load, torch_file(tmp_path / f"{number}.pth", value))


# --- the fit ------------------------------------------------------------------------------------------------


def arrays(graph: Graph) -> dict[str, Array]:
    weights = initial(graph, 5)
    return {key: weights[key] for key in weights}


def test_names_and_shapes_must_be_exact() -> None:
    state = arrays(net(12))
    state["conv_1.weight"] = state.pop("conv1.weight")
    state["other"] = np.ones(3, np.float32)
    del state["norm1.bias"]
    diagnostic = refused("E0603", fit, as_weights(state), net())
    assert diagnostic.message == "the weights do not fit `net`: 2 missing, 2 unexpected, 2 of another shape"
    (table,) = diagnostic.notes
    assert table.split("\n") == [
        "shape       fc.weight     10 x 64 in the network, 12 x 64 in the file",
        "shape       fc.bias       10 in the network, 12 in the file",
        "missing     conv1.weight  4 x 3 x 3 x 3; the file has `conv_1.weight`, 4 x 3 x 3 x 3",
        "missing     norm1.bias    4",
        "unexpected  other         3",
    ]


def test_the_table_is_short(tmp_path: Path) -> None:
    state = {f"layer{number}.weight": np.ones(3, np.float32) for number in range(5000)}
    diagnostic = refused("E0603", fit, as_weights(state), net())
    (table,) = diagnostic.notes
    assert len(table.split("\n")) == 11
    assert table.endswith("... and 4,994 more"), "three of the ten are pairs"


def test_integers_are_no_weights() -> None:
    state = arrays(net())
    state["fc.bias"] = np.ones(10, np.int64)
    assert "10 (int64) in the file" in refused("E0603", fit, as_weights(state), net()).notes[0]


def test_reinit_starts_afresh() -> None:
    state = arrays(net(12))
    assert "--reinit 'fc.*'" in refused("E0603", fit, as_weights(state), net()).help
    for patterns in (["fc.*"], ["fc"], ["fc.weight", "*.bias"]):
        weights = fit(as_weights(state), net(), patterns, seed=4)
        assert np.array_equal(weights["fc.weight"], initial(net(), 4)["fc.weight"])
        assert np.array_equal(weights["conv1.weight"], state["conv1.weight"])
        assert weights.source == f"given; with seed 4: {', '.join(patterns)}"
        assert "fc.weight" in weights.notes[0].message
    diagnostic = refused("E0604", fit, as_weights(state), net(), ["fcc.*"])
    assert diagnostic.help == "did you mean `fc`?"


def test_what_may_be_missing() -> None:
    graph = net(aux=True)
    state = arrays(graph)
    for key in ("norm1.num_batches_tracked", "edge.weight", "side.weight", "side.bias"):
        del state[key]
    weights = fit(as_weights(state), graph)
    assert list(weights) == [tensor.key for tensor in graph.tensors]
    (note,) = weights.notes
    assert note.message == "missing in the weights, initialised with seed 0: edge.weight, side.weight, side.bias"
    assert weights["norm1.num_batches_tracked"] == 0


def test_unknown_heads_are_errors() -> None:
    refused("E0603", fit, as_weights(arrays(net(aux=True))), net())


def test_old_densenet_names() -> None:
    graph = net(prefix="features.denseblock1.denselayer1.")
    state = {key.replace("norm1", "norm.1").replace("conv1", "conv.1"): value for key, value in arrays(graph).items()}
    weights = fit(as_weights(state), graph)
    assert weights.notes[0].message == "renamed 6 tensors that have the old names of torchvision's DenseNet"
    assert np.array_equal(
        weights["features.denseblock1.denselayer1.conv1.weight"],
        initial(graph, 5)["features.denseblock1.denselayer1.conv1.weight"],
    )


def test_numbers_that_cannot_be_right() -> None:
    state = arrays(net())
    state["conv1.weight"] = np.full((4, 3, 3, 3), np.nan, np.float32)
    state["norm1.running_var"] = np.array([1, 2, 0, 1], np.float32)
    state["norm1.bias"] = np.array([1, 2, np.inf, 1], np.float32)
    state["edge.weight"] = state["edge.weight"] + 1
    state["fc.weight"] = np.zeros((10, 64), np.float32)
    found = fit(as_weights(state), net()).notes
    assert {note.code for note in found} == {"W0606"}
    assert [note.message for note in found] == [
        "`conv1.weight` contains infinities or NaN",
        "`norm1.bias` contains infinities or NaN",
        "`norm1.running_var` contains a variance of 0",
        "`edge.weight` differs from the values in the spec",
        "`fc.weight` is all zeros",
    ]


def test_a_state_dict_in_memory() -> None:
    torch = pytest.importorskip("torch")
    state = arrays(net())
    tensors = {key: torch.from_numpy(value.copy()) for key, value in state.items()}
    tensors["fc.weight"] = torch.nn.Parameter(tensors["fc.weight"].double())
    tensors["fc.bias"] = tensors["fc.bias"].bfloat16()
    for mapping in (state, tensors, {key: value.astype(np.float64) for key, value in state.items() if value.ndim}):
        weights = fit(mapping, net())
        assert weights.source == "given"
        assert all(weights[key].dtype == state[key].dtype for key in state)
        assert all(np.array_equal(weights[key], state[key]) for key in state)


def test_weights_can_be_copied(tmp_path: Path) -> None:
    network = archdsl.loads("input: 3x8x8\nnet: [3x3 conv 8 bn relu, gap, fc 4]")
    save(network.weights(seed=3), tmp_path / "w.safetensors")
    for weights in (network.weights(seed=3), network.weights(tmp_path / "w.safetensors")):
        for again in (pickle.loads(pickle.dumps(weights)), copy.deepcopy(weights), copy.copy(weights)):
            assert (again.source, again.notes, again.facts) == (weights.source, weights.notes, weights.facts)
            assert list(again) == list(weights)
            assert all(again[key].dtype == weights[key].dtype for key in weights)
            assert all(np.array_equal(again[key], weights[key]) for key in weights)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_damaged_array_of_an_npz(write: Any, tmp_path: Path) -> None:
    """Behind the part that is read to know its shape: the checksum is known when its values are."""
    values = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    write(tmp_path / "w.npz", a=values)
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[300_000] ^= 255
    (tmp_path / "w.npz").write_bytes(content)
    entry = load(tmp_path / "w.npz").entries["a"]
    assert "array `a` of `w.npz` is damaged" in refused("E0601", entry.make).message


def test_values_too_large_for_float32_are_reported_once(tmp_path: Path) -> None:
    state = {key: value.astype(np.float64) if value.ndim else value for key, value in arrays(net()).items()}
    state["fc.weight"][0, 0] = 1e300
    np.savez(tmp_path / "w.npz", **state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for weights in (fit(load(tmp_path / "w.npz"), net()), fit(as_weights(state), net())):
            assert np.isinf(weights["fc.weight"]).sum() == 1
            assert [note.code for note in weights.notes if note.code != "W0625"] == ["W0606"]


def test_tensors_in_memory_that_are_not_plain() -> None:
    torch = pytest.importorskip("torch")
    state = arrays(net())
    weight = torch.from_numpy(state["fc.weight"].copy())
    negative = torch.complex(torch.zeros_like(weight), -weight).conj().imag
    assert negative.is_neg()
    assert np.array_equal(fit({**state, "fc.weight": negative}, net())["fc.weight"], state["fc.weight"])
    nested = torch.nested.nested_tensor([weight, weight], layout=torch.jagged)
    for value in (weight.to_sparse(), weight.to("meta"), weight.to(torch.complex64), nested):
        assert (
            "a dense tensor of real numbers"
            in refused("E0004", fit, {**state, "fc.weight": value}, net(), status=2).message
        )


def test_a_modules_numbers_are_its_own(tmp_path: Path) -> None:
    """The file is mapped, not copied; two modules of it, and the file itself, still know nothing of one another."""
    network = archdsl.loads("input: 3x8x8\nnet: [3x3 conv 8 bn relu, gap, fc 4]")
    save(network.weights(seed=3), tmp_path / "w.safetensors")
    before = (tmp_path / "w.safetensors").read_bytes()
    first, second = (network.to_torch(tmp_path / "w.safetensors") for _ in range(2))
    for parameter in first.parameters():
        parameter.data.fill_(7)
    assert (tmp_path / "w.safetensors").read_bytes() == before
    assert all(not (value == 7).all() for value in second.parameters())
    weights = network.weights(tmp_path / "w.safetensors")
    third, fourth = (network.to_torch(weights) for _ in range(2))
    next(third.parameters()).data.fill_(7)
    assert not (next(fourth.parameters()) == 7).all()
