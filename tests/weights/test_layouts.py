"""Files of every layout: each loads the network's own values, or is refused with the true cause; none runs code.

Tests `backends/weights/read.py`, `layout.py`, `pickles.py`, `torch_files.py`, `arrays.py`, `dtypes.py`, `rules.py`.

'backends/weights/layout.py', 'backends/weights/pickles.py', 'backends/weights/torch_files.py',
'backends/weights/arrays.py', 'backends/weights/dtypes.py' and 'backends/weights/rules.py' are those files.
"""

from __future__ import annotations

import argparse
import bz2
import datetime
import gzip
import io
import json
import lzma
import os
import pathlib
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archdsl
from archdsl.backends.weights import load
from archdsl.diagnostics import ArchError

TINY = (
    "name: t\ninput: 3x32x32\ndefaults: {conv: bn relu}\nnet:\n  conv1: 3x3 conv 8\n  conv2: 3x3 conv 16 /2\n"
    "  pool: gap\n  fc: fc 10\n"
)
NETWORK = archdsl.loads(TINY)
State = dict[str, Any]


def state(seed: int = 1) -> State:
    return {key: torch.from_numpy(np.array(value)) for key, value in NETWORK.weights(seed=seed).items()}


SD, EMA = state(1), state(2)


def under(prefix: str, of: Mapping[str, Any] = SD) -> State:
    return {prefix + key: value for key, value in of.items()}


class Anything:
    """A class of somebody's script."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Dictionary(dict[str, Any]):
    """Such as EasyDict or ConfigDict."""


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], tuple(self.call[1:])


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)


class Whole(nn.Module):
    """The network as a module, which is saved whole."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = Block(), Block()
        self.conv2.conv, self.conv2.bn = nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16)
        self.register_buffer("scratch", torch.ones(3), persistent=False)
        self.fc = nn.Linear(16, 10)
        self.load_state_dict(SD)
        self.settings = argparse.Namespace(lr=0.1)


class Case(NamedTuple):
    """`content` is saved by `torch.save`, or writes the file itself. `wanted` are the values; else the words of the
    refusal. `notes` is a part of a note."""

    content: Any
    wanted: State | str = SD
    notes: str = ""
    options: Mapping[str, Any] = MappingProxyType({})
    name: str = "w.pth"


def written(write: Callable[[Path], object]) -> Callable[[Path], object]:
    return write


def by_bytes(data: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data())


def saved(content: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        data = saved(SD)
        info = tarfile.TarInfo("w.pth")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def folder_of(**files: Callable[[Path], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.mkdir()
        for name, make in files.items():
            make(path / name.replace("__", "."))

    return write


def tensors(of: State) -> Callable[[Path], object]:
    return lambda path: save_file({key: value.contiguous() for key, value in of.items()}, path)


def index(table: Mapping[str, str] | None = None) -> Callable[[Path], object]:
    names = {key: "a.safetensors" if key < "d" else "b.safetensors" for key in SD} if table is None else table
    return lambda path: path.write_text(json.dumps({"metadata": {}, "weight_map": names}))


FIRST = {key: value for key, value in SD.items() if key < "d"}
LAST = {key: value for key, value in SD.items() if key >= "d"}
SHARDED = {"a__safetensors": tensors(FIRST), "b__safetensors": tensors(LAST)}
DOUBLE = {key: value.double() if value.is_floating_point() else value for key, value in SD.items()}
EIGHTH = {key: (value * 8).round() / 8 if value.is_floating_point() else value for key, value in SD.items()}
"""Values that every format of floats has."""


def cast(dtype: torch.dtype) -> State:
    return {key: value.clamp(-1, 1).to(dtype) if value.is_floating_point() else value for key, value in EIGHTH.items()}


CLAMPED = {key: value.clamp(-1, 1) if value.is_floating_point() else value for key, value in EIGHTH.items()}


def opcodes(*codes: bytes) -> Callable[[Path], object]:
    return by_bytes(lambda: b"\x80\x02" + b"".join(codes) + b".")


def array_file(save: Callable[..., None], *args: Any, **arrays: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            save(file, *args, **arrays)

    return write


ARRAYS = {key: value.numpy() for key, value in SD.items()}


def reordered() -> Mapping[str, Any]:
    """Arrays whose axes are in C's order, in Fortran's, and in neither."""
    orders = {4: (1, 0, 3, 2), 2: (1, 0)}
    swapped = {key: orders.get(value.ndim, tuple(range(value.ndim))) for key, value in ARRAYS.items()}
    return {key: value.transpose(swapped[key]).copy().transpose(swapped[key]) for key, value in ARRAYS.items()}


def big_endian() -> Mapping[str, Any]:
    return {key: value.astype(value.dtype.newbyteorder(">")) for key, value in ARRAYS.items()}


def negated(tensor: Tensor) -> Tensor:
    """The same values; torch stores them with the other sign, and a mark."""
    view = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert view.is_neg() and torch.equal(view, tensor)
    return view


class Rebuilt:
    """What torch would make of an array by a function of `torch._utils`."""

    def __init__(self, name: str, key: str) -> None:
        self.name, self.key = name, key

    def __reduce__(self) -> Any:
        function = getattr(torch._utils, f"_rebuild_{self.name}")
        return function, (ARRAYS[self.key], torch.float32, "cpu", False)


class Marked:
    """A tensor with marks of somebody's torch."""

    def __init__(self, tensor: Tensor, **marks: bool) -> None:
        self.tensor, self.marks = tensor, marks

    def __reduce__(self) -> Any:
        function, args = self.tensor.__reduce_ex__(2)  # type: ignore[misc]
        return function, (*args[:6], self.marks)


def joblib_file(path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    joblib.dump(ARRAYS, path)


HEAD = {key.replace("fc.", "head."): value for key, value in EMA.items() if key.startswith("fc.")}
HEADS = {key: value for key, value in SD.items() if key.startswith("fc.")}
PLAIN = {key: value for key, value in SD.items() if "num_batches" not in key}

LOADS = {
    # wrappers and prefixes
    **{
        f"below {key}": Case({key: SD, "epoch": 3}, notes=f"below `{key}`")
        for key in (
            "state_dict",
            "model",
            "net",
            "params",
            "model_dict",
            "model_state",
            "net_state_dict",
            "state",
            "generator",
            "optimal_model",
            "network_weights",
            "a name with spaces",
            "модель",
            "x.y",
        )
    },
    "three levels": Case({"checkpoint": {"best": {"weights": SD}}, "log": [1, 2]}, notes="`checkpoint.best.weights`"),
    "sixteen levels": Case(__import__("functools").reduce(lambda inner, n: {f"l{n}": inner}, range(16), SD)),
    "in a list": Case({"models": [SD]}, notes="below `models.0`"),
    **{
        f"prefix {prefix}": Case(under(prefix), notes="read the tensors below")
        for prefix in (
            "model.",
            "net.",
            "module.",
            "_orig_mod.",
            "backbone.",
            "_orig_mod.module.",
            "module._orig_mod.",
            "model.module.net.",
            "student.encoder.",
        )
    },
    "lightning": Case(
        {
            "state_dict": {**under("model."), "criterion.weight": torch.ones(10)},
            "pytorch-lightning_version": "2.1",
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}],
            "hyper_parameters": {"lr": 0.1},
        },
        notes="read the tensors below `state_dict.model`; beside it: state_dict",
    ),
    "an optimizer beside": Case(
        {"model": SD, "optimizer": torch.optim.Adam(nn.Linear(2, 2).parameters()).state_dict()}
    ),
    "compiled parts": Case({key.replace("conv1.", "conv1._orig_mod."): value for key, value in SD.items()}),
    "parallel parts": Case({key.replace("conv2.", "conv2.module."): value for key, value in SD.items()}),
    "FSDP": Case({key.replace("fc.", "_fsdp_wrapped_module.fc."): value for key, value in SD.items()}),
    "two halves": Case(
        {
            "conv1": {k[6:]: v for k, v in SD.items() if k.startswith("conv1.")},
            "rest": 1,
            **{k: v for k, v in SD.items() if not k.startswith("conv1.")},
        }
    ),
    # averages
    "averaged beside": Case({"model": SD, "model_ema": EMA}, notes="`--part model_ema` reads them"),
    "averaged first": Case({"state_dict_ema": EMA, "state_dict": SD}, notes="`--part state_dict_ema` reads them"),
    "averaged chosen": Case(
        {"model": SD, "model_ema": EMA}, EMA, "below `model_ema`, which are averaged", {"part": "model_ema"}
    ),
    "averaged below module": Case(
        {"model": under("module."), "ema": under("module.", EMA)}, EMA, "averaged", {"part": "ema"}
    ),
    "averaged only": Case({"ema_state_dict": EMA, "epoch": 3}, EMA, "which are averaged weights"),
    "AveragedModel": Case({"n_averaged": torch.tensor(4), **under("module.", EMA)}, EMA, "which are averaged weights"),
    "AveragedModel beside": Case(
        {"model": SD, "swa_model": {"n_averaged": torch.tensor(4), **under("module.", EMA)}}, notes="`--part swa_model"
    ),
    # a second set below a complete one
    **{
        f"a second set below {key}": Case({**SD, **under(f"{key}.", EMA)}, notes=f"`--part {key}` reads them")
        for key in ("target", "ema", "teacher", "module", "momentum_encoder")
    },
    "a second mapping below": Case({**SD, "best": EMA}, notes="a second set of these names"),
    "a second set first": Case({**under("target.", EMA), **SD}, notes="`--part target` reads them"),
    "moments below": Case({**SD, "optimizer": {"exp_avg": EMA}}, notes="also has tensors of an optimiser or gradients"),
    "a second set below a prefix": Case({"state_dict": {**under("model."), **under("model.ema.", EMA)}}),
    **{
        f"the place {part} of two": Case(
            {"state_dict": {**under("model."), **under("model.ema.", EMA)}},
            EMA if part.endswith("ema") else SD,
            f"below `{'state_dict.model' if part == 'state_dict' else part}`",
            {"part": part},
        )
        for part in ("state_dict", "state_dict.model", "state_dict.model.ema")
    },
    **{f"the top as {part!r}": Case({**SD, **under("target.", EMA)}, options={"part": part}) for part in ("", "(top)")},
    "the second set chosen": Case({**SD, **under("target.", EMA)}, EMA, "below `target`", {"part": "target"}),
    "the second set ignored": Case({**SD, **under("ema.", EMA)}, notes="ignored", options={"ignore": ["ema.*"]}),
    "a sparse tensor in what is ignored": Case(
        {**SD, "ema": {**EMA, "fc.weight": EMA["fc.weight"].to_sparse()}}, options={"ignore": ["ema.*"]}
    ),
    "a sparse tensor in the second set": Case(
        {**SD, "optimizer": {"m": {**EMA, "fc.weight": EMA["fc.weight"].to_sparse()}}}, notes="an optimiser"
    ),
    "one of two ignored": Case({"a": SD, "b": EMA}, notes="below `a`", options={"ignore": ["b.*"]}),
    "the teacher chosen": Case({"student": SD, "teacher": EMA}, EMA, options={"part": "teacher"}),
    "moments chosen": Case({"optimizer": {"exp_avg": SD}}, options={"part": "optimizer.exp_avg"}),
    "moments with counters": Case({"model": PLAIN, "optimizer": {"velocity": EMA}}, notes="below `model`"),
    "gradients beside": Case({"grads": EMA, "net": SD}, notes="below `net`"),
    "one of two": Case({"netG_A": SD, "netG_B": EMA}, EMA, "below `netG_B`", {"part": "netG_B"}),
    "a discriminator beside": Case({"D": {"conv1.conv.weight": torch.ones(4, 3, 3, 3)}, "G": SD}, notes="below `G`"),
    # counters, profilers, other tensors
    "counter of shape (1,)": Case({**SD, "conv1.bn.num_batches_tracked": torch.tensor([0])}),
    "counter as float": Case({**SD, "conv1.bn.num_batches_tracked": torch.tensor(0.0)}),
    "no counters": Case({key: value for key, value in SD.items() if "num_batches" not in key}),
    "profiler": Case({**SD, "total_ops": torch.ones(1), "conv1.total_params": torch.ones(1)}, notes="of a profiler"),
    "tensors beside": Case({"state_dict": SD, "loss": torch.ones(1), "confusion": torch.ones(3, 3)}, notes="beside it"),
    "a tensor ignored": Case({**SD, "loss.weight": torch.ones(2)}, notes="ignored 1", options={"ignore": ["loss.*"]}),
    "an anchor ignored": Case({"m": {**SD, "anchors": torch.ones(2)}}, options={"ignore": ["anch*"]}),
    # renaming
    "a path renamed": Case(
        {key.replace("fc.", "head."): value for key, value in SD.items()}, options={"rename": ["head=fc"]}
    ),
    "a tensor renamed": Case(
        {key.replace("fc.bias", "b"): value for key, value in SD.items()}, options={"rename": ["b=fc.bias"]}
    ),
    "two places as one": Case(
        {"backbone": {k: v for k, v in SD.items() if k[:2] != "fc"}, **HEADS},
        options={"rename": ["backbone="]},
    ),
    "two places as one, below a place": Case(
        {"m": {**under("net.", {k: v for k, v in SD.items() if k[:2] != "fc"}), **HEADS}},
        notes="below `m`",
        options={"rename": ["net="]},
    ),
    "renamed in place of a name": Case(
        {**SD, **HEAD},
        {**SD, "fc.weight": HEAD["head.weight"], "fc.bias": HEAD["head.bias"]},
        options={"rename": ["head=fc"], "ignore": ["fc.*"]},
    ),
    "renamed below a place": Case(
        {"model": {key.replace("conv1.", "stem.block."): value for key, value in SD.items()}},
        options={"rename": ["stem.block=conv1"]},
    ),
    # numbers
    "float64": Case(DOUBLE),
    **{
        f"{dtype}": Case(cast(dtype), CLAMPED)
        for dtype in (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
    },
    "parameters": Case({k: nn.Parameter(v) if v.is_floating_point() else v for k, v in SD.items()}),
    "other strides": Case(
        {k: v.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0) if v.dim() == 4 else v for k, v in SD.items()}
    ),
    "slices of one storage": Case(lambda path: torch.save(_sliced(), path)),
    "a matrix as filters": Case({**SD, "fc.weight": SD["fc.weight"][:, :, None, None]}, notes="reshaped"),
    "arrays in a pickle": Case(by_bytes(lambda: pickle.dumps({k: v.numpy() for k, v in SD.items()})), name="w.pkl"),
    "arrays, protocol 2": Case(by_bytes(lambda: pickle.dumps({"m": {k: v.numpy() for k, v in SD.items()}}, 2))),
    "arrays of torch.save": Case({"blobs": {k: v.numpy() for k, v in SD.items()}, "lr": np.float64(0.1)}),
    "arrays, protocol 5": Case(by_bytes(lambda: pickle.dumps(ARRAYS, 5))),
    "arrays of torch.save, protocol 5": Case(by_bytes(lambda: saved(ARRAYS, pickle_protocol=5))),
    "arrays with other orders of axes": Case(by_bytes(lambda: pickle.dumps(reordered(), 5))),
    "arrays in big-endian order": Case(by_bytes(lambda: pickle.dumps(big_endian(), 4))),
    "arrays in big-endian order, protocol 5": Case(by_bytes(lambda: pickle.dumps(big_endian(), 5))),
    "a tensor with its negative bit": Case({**SD, "fc.weight": negated(SD["fc.weight"])}),
    "a tensor of another device": Case({**SD, "fc.weight": Rebuilt("device_tensor_from_numpy", "fc.weight")}),
    # Python objects beside
    "Namespace": Case({"model": SD, "args": argparse.Namespace(lr=0.1)}, notes="`argparse.Namespace`"),
    "NumPy numbers": Case({"state_dict": SD, "best": np.float64(0.9), "losses": np.ones(3)}, notes="set aside"),
    "paths": Case({"model": SD, "path": pathlib.PurePosixPath("/a/b")}, notes="set aside"),
    "a class of a script": Case({"model": SD, "config": Anything(a=[1], b={"c": 2})}, notes="test_layouts.Anything"),
    "a dictionary class": Case(Dictionary(model=Dictionary(SD), epoch=1), notes="test_layouts.Dictionary"),
    "dates, sets, counters": Case(
        {
            "model": SD,
            "when": datetime.datetime(2020, 1, 1),
            "s": {1, 2},
            "f": frozenset("a"),
            "c": Counter("aab"),
            "d": defaultdict(list, a=[1]),
            "z": 1 + 2j,
            "e": torch.Size([1]),
            "t": torch.float32,
            "b": b"x" * 300,
        }
    ),
    "an ordered mapping": Case(OrderedDict(model=OrderedDict(SD))),
    "a scheduler's state": Case({"model": SD, "scheduler": {"last_epoch": 3, "_step_count": 4, "fn": print}}),
    # whole modules
    "a module": Case(lambda path: torch.save(Whole(), path), notes="set aside, and not run"),
    "a module before 1.6": Case(by_bytes(lambda: saved(Whole(), _use_new_zipfile_serialization=False))),
    "a module in a mapping": Case(lambda path: torch.save({"epoch": 1, "model": Whole()}, path), notes="below `model`"),
    "a parallel module": Case(lambda path: torch.save({"model": nn.DataParallel(Whole())}, path)),
    # forms of files
    "torch before 1.6": Case(by_bytes(lambda: saved({"m": SD}, _use_new_zipfile_serialization=False))),
    "protocol 4": Case(by_bytes(lambda: saved({"m": SD}, pickle_protocol=4))),
    **{f"named {name}": Case(SD, name=name) for name in ("w.tar", "w.pkl", "w.model", "checkpoint", "w.bin", "w.npz")},
    "safetensors by content": Case(tensors(SD), name="weights.bin"),
    "safetensors below model.": Case(tensors(under("model.")), notes="below `model`", name="w.safetensors"),
    "npz": Case(array_file(np.savez, **{k: v.numpy() for k, v in SD.items()}), name="w.npz"),
    "npz, compressed": Case(array_file(np.savez_compressed, **{k: v.numpy() for k, v in SD.items()}), name="w"),
    "npz of Fortran's order": Case(
        array_file(np.savez, **{k: np.asfortranarray(v.numpy()).reshape(v.shape, order="A") for k, v in SD.items()})
    ),
    "shards by their folder": Case(folder_of(**SHARDED, model__safetensors__index__json=index()), name="folder"),
    "a folder of one file": Case(
        folder_of(model__safetensors=tensors(SD), config__json=lambda p: p.write_text("{}")), name="folder"
    ),
    "a folder of two forms": Case(
        folder_of(model__safetensors=tensors(SD), pytorch_model__bin=lambda p: torch.save(EMA, p)), name="folder"
    ),
    "shards of torch": Case(
        folder_of(
            x__bin=lambda p: torch.save(SD, p),
            pytorch_model__bin__index__json=index(dict.fromkeys(SD, "x.bin")),
        ),
        name="folder",
    ),
}


def exported(path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), file)


def quantised() -> State:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**SD, "fc.weight": torch.quantize_per_tensor(SD["fc.weight"], 0.1, 0, torch.qint8)}


def scripted(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), path)


def _sliced() -> State:
    flat = torch.cat([value.reshape(-1).float() for value in SD.values()])
    out, at = {}, 0
    for key, value in SD.items():
        part = flat[at : at + value.numel()].reshape(value.shape)
        out[key], at = part if value.is_floating_point() else value, at + value.numel()
    return out


REFUSED = {
    # what is no weights file
    "TorchScript": Case(scripted, "a TorchScript program"),
    "an exported program": Case(
        exported,
        "an exported program",
    ),
    "gzip": Case(by_bytes(lambda: gzip.compress(saved(SD))), "compressed with gzip"),
    "bzip2": Case(by_bytes(lambda: bz2.compress(b"x")), "compressed with bzip2"),
    "xz": Case(by_bytes(lambda: lzma.compress(b"x")), "compressed with xz"),
    "zstd": Case(by_bytes(lambda: b"\x28\xb5\x2f\xfd" + bytes(99)), "compressed with zstd"),
    "tar": Case(by_bytes(tarred), "a tar archive"),
    "7z": Case(by_bytes(lambda: b"7z\xbc\xaf\x27\x1c" + bytes(99)), "a 7z archive"),
    "zip of a file": Case(by_bytes(lambda: zipped({"w.pth": saved(SD)})), "a zip archive that torch did not write"),
    "torch's zip, deflated": Case(
        by_bytes(lambda: zipped({"a/data.pkl": b"x" * 9999, "a/version": b"3"}, zipfile.ZIP_DEFLATED)),
        "it is compressed",
    ),
    "HDF5": Case(by_bytes(lambda: b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 file", name="w.h5"),
    "GGUF": Case(by_bytes(lambda: b"GGUF" + bytes(99)), "a GGUF file"),
    "TensorFlow Lite": Case(by_bytes(lambda: bytes(4) + b"TFL3" + bytes(99)), "a TensorFlow Lite model"),
    "one array": Case(array_file(np.save, np.ones(3)), "one NumPy array", name="w.npy"),
    "a pointer of Git LFS": Case(
        by_bytes(lambda: b"version https://git-lfs.github.com/spec/v1\noid"), "a pointer of Git LFS"
    ),
    "a web page": Case(by_bytes(lambda: b"<!DOCTYPE html><html>404"), "a web page"),
    "a text": Case(by_bytes(lambda: b"hello"), "none of the formats"),
    "an ONNX file": Case(lambda path: NETWORK.to_onnx(path), "an ONNX file"),
    "empty": Case(by_bytes(lambda: b""), "it is empty"),
    # content without tensors by name
    "a tensor": Case(torch.ones(3), "one tensor without a name"),
    "a list": Case([torch.ones(3)], "a list"),
    "a tuple": Case((SD, {"a": 1}), "it contains a tuple"),
    "None": Case(None, "it contains None"),
    "a class": Case(by_bytes(lambda: saved(OrderedDict)), "a class or a function"),
    "a text, saved": Case("text", "one value of the type `str`"),
    "a storage": Case(torch.ones(3).untyped_storage(), "a storage"),
    "names that are numbers": Case({0: torch.ones(3)}, "no tensors with names"),
    "no tensors": Case({"a": 1, "b": {"c": "d"}}, "no tensors with names"),
    "an average without names": Case({"shadow_params": [torch.ones(3)]}, "no tensors with names"),
    # tensors that are none of the network
    "sparse": Case({**SD, "fc.weight": SD["fc.weight"].to_sparse()}, "tensor `fc.weight` is sparse"),
    "on meta": Case({**SD, "fc.weight": torch.ones(10, 16, device="meta")}, "no data: it is on the device `meta`"),
    "complex": Case({**SD, "fc.bias": torch.ones(10, dtype=torch.complex64)}, "has the type"),
    "a conjugate": Case({**SD, "fc.bias": torch.ones(10, dtype=torch.complex64).conj()}, "yet to compute"),
    "an unknown mark": Case(
        by_bytes(lambda: saved({**SD, "fc.bias": Marked(SD["fc.bias"], neg=True, odd=True)})), "yet to compute"
    ),
    "an unknown kind of tensor": Case(
        by_bytes(
            lambda: saved(SD, _use_new_zipfile_serialization=False).replace(
                b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"
            )
        ),
        "is of another type",
    ),
    "axes that are none": Case(
        by_bytes(
            lambda: pickle.dumps({**ARRAYS, "fc.bias": np.ones((4, 5, 6)).transpose(1, 2, 0)}, 5).replace(
                b"K\x01K\x02K\x00\x87", b"K\x02K\x02K\x00\x87"
            )
        ),
        "an array that is damaged",
    ),
    "a type that is code": Case(
        by_bytes(lambda: pickle.dumps(ARRAYS, 4).replace(b"\x8c\x02f4", b"\x8c\x0208")), "an array that is damaged"
    ),
    "tensors without torch.save": Case(by_bytes(lambda: pickle.dumps(SD)), "was pickled without `torch.save`"),
    "a module without torch.save": Case(by_bytes(lambda: pickle.dumps(Whole())), "was pickled without `torch.save`"),
    "joblib": Case(joblib_file, "joblib wrote it"),
    "a zip file by another name": Case(SD, "rename it to end in .pth", name="w.safetensors"),
    "quantised": Case(lambda path: torch.save(quantised(), path), "is quantised"),
    "a quantised layer": Case(
        {**SD, "fc.scale": torch.ones(1), "fc.zero_point": torch.ones(1)}, "the file is quantised"
    ),
    "weight norm": Case(
        {
            **{k: v for k, v in SD.items() if k != "fc.weight"},
            "fc.weight_g": torch.ones(10, 1),
            "fc.weight_v": SD["fc.weight"],
        },
        "weight norms",
    ),
    "integers": Case({**SD, "fc.weight": torch.ones(10, 16, dtype=torch.int8)}, "was the model quantised"),
    "LoRA": Case({**SD, "fc.lora_A.weight": torch.ones(2, 16), "fc.lora_B.weight": torch.ones(10, 2)}, "LoRA adapters"),
    "pruned": Case({**SD, "fc.weight_mask": torch.ones(10, 16)}, "a mask of pruning"),
    "a loss that is not ignored": Case({**SD, "loss.weight": torch.ones(3)}, "`--ignore 'loss.*'`"),
    "a bias too many": Case(
        {**SD, "conv1.conv.bias": torch.ones(8)},
        "`--ignore 'conv1.conv.bias'`. The outputs change without `conv1.conv.bias`",
    ),
    "a bias too many, and a loss": Case(
        {**SD, "conv1.conv.bias": torch.ones(8), "loss.weight": torch.ones(8)},
        "`--ignore 'conv1.conv.bias' --ignore 'loss.*'`",
    ),
    "a scale is missing": Case(
        {k: v for k, v in SD.items() if k != "conv1.bn.weight"}, "initialises them with `--reinit 'conv1.bn.weight'`"
    ),
    "a norm is missing": Case({k: v for k, v in SD.items() if "conv1.bn" not in k}, "with `--reinit 'conv1.bn.*'`"),
    "the head is beside": Case(
        {
            "backbone": {k: v for k, v in SD.items() if k[:2] != "fc"},
            "fc": {"weight": SD["fc.weight"], "bias": SD["fc.bias"]},
        },
        "beside `backbone`: `--rename 'backbone='` reads both",
    ),
    "the head is beside, below a place": Case(
        {"m": {**under("net.", {k: v for k, v in SD.items() if k[:2] != "fc"}), **HEADS}},
        "beside `m.net`: `--rename 'net='` reads both",
    ),
    "a missing layer": Case({k: v for k, v in SD.items() if not k.startswith("fc")}, "`--reinit 'fc.*'`"),
    "a scalar for a matrix": Case({**SD, "fc.weight": torch.tensor(1.0)}, "of another variant"),
    "a directory with wrong positions": Case(
        by_bytes(lambda: saved(SD)[:-20] + b"\xff\xff\xff" + saved(SD)[-17:]), "or its directory is damaged"
    ),
    "another width": Case({**SD, "fc.weight": torch.ones(3, 16), "fc.bias": torch.ones(3)}, "the outputs differ"),
    "unknown names": Case({f"k{n}": value for n, value in enumerate(SD.values())}, "`archdsl weights match FILE SPEC`"),
    "twice": Case({"netG_A": SD, "netG_B": EMA}, "2 times: `netG_A`, `netG_B`"),
    "a student and a teacher": Case({"student": SD, "teacher": EMA}, "`--part student` or `--part teacher`"),
    "a model and a teacher": Case({"model": SD, "teacher": EMA}, "2 times: `model`, `teacher`"),
    "another head, and a second set below": Case(
        {**SD, "fc.weight": torch.ones(3, 16), "fc.bias": torch.ones(3), **under("target.", EMA)},
        "`--part '(top)'` or `--part target`",
    ),
    "no head, and a second set below": Case(
        {"m": {**{k: v for k, v in SD.items() if k not in HEADS}, **under("target.", EMA)}},
        "2 times: `m`, `m.target`",
    ),
    "twice, counters once": Case({"model": PLAIN, "swap": EMA}, "2 times: `model`, `swap`"),
    "three times": Case({"a": SD, "b": EMA, "c": SD}, "`--part a` or `--part b` or `--part c`"),
    **{
        f"only {'.'.join(keys)}": Case(
            __import__("functools").reduce(lambda inner, key: {key: inner}, reversed(keys), SD),
            f"`--part {'.'.join(keys)}` reads them",
        )
        for keys in (
            ("optimizer", "exp_avg"),
            ("optim", "m"),
            ("opt",),
            ("optimizer_G",),
            ("d_opt", "x"),
            ("optimizer_states", "v"),
            ("grads",),
            ("gradients",),
            ("exp_avg_sq",),
            ("state", "momentum_buffer"),
            ("velocity",),
        )
    },
    "moments and no model": Case({"optimizer": {"momentum_buffer": SD}, "model": {}}, "are no weights"),
    "two moments": Case({"optimizer": {"exp_avg": SD, "exp_avg_sq": EMA}}, "2 times", options={"part": "optimizer"}),
    "renamed onto a name": Case(
        {**SD, **HEAD},
        "`head.weight` of the file would both be `fc.weight` of the network\n"
        "leave one of them out, as with `--ignore 'fc.*'`",
        options={"rename": ["head=fc"]},
    ),
    "renamed onto a name, first": Case({**HEAD, **SD}, "`--ignore 'fc.*'`", options={"rename": ["head=fc"]}),
    "two renamed to one": Case(
        {**{k: v for k, v in SD.items() if k[:2] != "fc"}, **HEAD, **{k.replace("head", "h2"): HEAD[k] for k in HEAD}},
        "`--ignore 'h2.*'`",
        options={"rename": ["head=fc", "h2=fc"]},
    ),
    "no such part": Case(SD, "no tensor of the file is below `ema`", options={"part": "ema"}),
    "a rule that matches nothing": Case(SD, "`rename` `a=b` matches no tensor", options={"rename": ["a=b"]}),
    "a rule that is none": Case(SD, "is not a rule", options={"rename": ["fc"]}),
    "a pattern that matches nothing": Case(SD, "`ignore` `loss.*` matches no", options={"ignore": ["loss.*"]}),
    # folders
    "a folder of nothing": Case(folder_of(), "contains no weights file"),
    "a folder of two files": Case(
        folder_of(a__safetensors=tensors(SD), b__safetensors=tensors(SD)), "name one of them"
    ),
    "a shard is missing": Case(
        folder_of(a__safetensors=tensors(FIRST), m__safetensors__index__json=index()), "`b.safetensors` is missing"
    ),
    "a shard elsewhere": Case(
        folder_of(m__safetensors__index__json=index({"a": "../../etc/passwd"})), "not a file in the same"
    ),
    "a shard that is the index": Case(
        folder_of(m__safetensors__index__json=index({"a": "m.safetensors.index.json"})), "not a file in the same folder"
    ),
    "a shard without its tensor": Case(
        folder_of(**SHARDED, m__safetensors__index__json=index({"x": "a.safetensors"})), "not in their shards"
    ),
    "an index that is none": Case(folder_of(m__safetensors__index__json=lambda p: p.write_text("[1]")), "not an index"),
    "a distributed checkpoint": Case(
        folder_of(__metadata=lambda p: p.write_bytes(b""), a__distcp=lambda p: p.write_bytes(b"")),
        "a distributed checkpoint",
    ),
    "npz of objects": Case(array_file(np.savez, a=np.array([{}], dtype=object)), "contains Python objects"),
    "npz that grows": Case(array_file(np.savez_compressed, a=np.zeros(50_000_000, np.uint8)), "would grow from"),
    "npz that lies": Case(
        by_bytes(
            lambda: zipped({"a.npy": _array(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }")})
        ),
        "another size than its shape",
    ),
    "npz that is code": Case(
        by_bytes(lambda: zipped({"a.npy": _array(b"__import__('os').system('touch ran')")})), "is damaged"
    ),
    # pickles that harm
    "os.system": Case({"model": SD, "x": Evil(os.system, "touch ran")}, "`posix.system`"),
    "eval": Case({"model": SD, "x": Evil(eval, "open('ran', 'w')")}, "`builtins.eval`"),
    "exec below": Case({"model": {**SD, "a": [Evil(exec, "open('ran', 'w')")]}}, "`builtins.exec`"),
    "subprocess": Case(opcodes(b"csubprocess\nPopen\n", b"(X\x09\x00\x00\x00touch rant", b"R"), "`subprocess.Popen`"),
    "INST": Case(opcodes(b"(X\x09\x00\x00\x00touch ran", b"ios\nsystem\n"), "`os.system`"),
    "a persistent id": Case(opcodes(b"}X\x01\x00\x00\x00aPx\ns"), "damaged"),
    "an extension": Case(opcodes(b"\x82\x01"), "damaged"),
    "a memo far away": Case(opcodes(b"}r\xff\xff\xff\x7f"), "no tensors with names"),
    "an endless frame": Case(by_bytes(lambda: b"\x80\x04\x95" + b"\xff" * 8 + b"}."), "no tensors with names"),
    "a text of 4 GB": Case(opcodes(b"X\xff\xff\xff\xff"), "damaged"),
    "bytes of 2^60": Case(opcodes(b"\x8e" + struct.pack("<Q", 1 << 60)), "damaged"),
    "a tuple as a key": Case(opcodes(b"}" + b")" + b"\x85" * 100_000 + b"K\x01s"), "no tensors with names"),
    "mappings that double": Case(by_bytes(lambda: pickle.dumps(_doubled(60))), "without end"),
    "a call again and again": Case(
        opcodes(
            b"ccollections\nOrderedDict\nq\x00("
            + b"K\x01K\x01\x86" * 9000
            + b"lq\x01\x85q\x02"
            + b"h\x00h\x02R0" * 9000
            + b"}"
        ),
        "copies too much",
    ),
    "a million steps": Case(opcodes(b"N0" * 600_000), "more than 1,000,000 steps"),
    "names without end": Case({"a" * 2000: {"b": torch.ones(1)}}, "more than 1,000 characters"),
}


def _doubled(depth: int) -> Any:
    inner: Any = {"x": 1}
    for _ in range(depth):
        inner = {"a": inner, "b": inner}
    return inner


def _array(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(16)


def file_of(case: Case, folder: Path) -> Path:
    path = folder / case.name
    if callable(case.content):
        case.content(path)
    else:
        torch.save(case.content, path)
    return path


@pytest.mark.parametrize("what", LOADS)
def test_a_file_that_loads(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = LOADS[what]
    path = file_of(case, tmp_path)
    weights = NETWORK.weights(path, **case.options)
    assert isinstance(case.wanted, dict)
    for key, value in weights.items():
        np.testing.assert_array_equal(value, case.wanted[key].numpy(), err_msg=key)
    assert not case.notes or any(case.notes in note.message for note in weights.notes), weights.notes
    assert all(note.severity == "note" or note.code == "W0625" for note in weights.notes)


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_refused(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = REFUSED[what]
    path = file_of(case, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArchError) as caught:
        NETWORK.weights(path, **case.options)
    (found,) = caught.value.diagnostics
    assert found.code in ("E0601", "E0602", "E0603", "E0604", "E0608")
    assert isinstance(case.wanted, str) and case.wanted in f"{found.message}\n{found.help}", str(found)
    assert len(found.message) < 400
    assert sorted(tmp_path.rglob("*")) == before, "nothing was run or written"


def test_no_pickle_can_call_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that this process has is not called under a harmless name, nor by any opcode that calls."""
    monkeypatch.chdir(tmp_path)
    called: list[str] = []
    monkeypatch.setattr(Anything, "__init__", lambda self, *args, **more: called.append("init"))
    monkeypatch.setattr(Anything, "__setstate__", lambda self, state: called.append("state"), raising=False)
    name = f"c{__name__}\nAnything\n".encode()
    for code in (
        name + b")R",
        b"(" + name + b"o",
        b"(i" + name[1:],
        name + b")\x81",
        name + b")}\x92",
        name + b")\x81}b",
    ):
        (tmp_path / "w.pth").write_bytes(b"\x80\x04" + code + b".")
        with pytest.raises(ArchError):
            load(tmp_path / "w.pth")
    assert not called and os.listdir(tmp_path) == ["w.pth"]


def test_a_file_is_read_without_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    torch.save({"model": SD}, tmp_path / "w.pth")
    code = (
        "import sys; sys.modules['torch'] = None\nfrom archdsl.backends.weights import load\n"
        "w = load('w.pth'); print(w['model.fc.weight'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert float(done.stdout) == pytest.approx(float(SD["fc.weight"].sum()), rel=1e-5), done.stderr


@pytest.mark.parametrize("content", [{**SD, **under("target.", EMA)}, {"m": {**SD, "a": {"b": EMA}, "ema": EMA}}])
def test_inspect_and_convert_agree_with_compile(content: State, tmp_path: Path) -> None:
    """The second set is neither counted nor written, whether the network is known or not."""
    torch.save(content, tmp_path / "w.pth")
    inspected = archdsl.weights.inspect(tmp_path / "w.pth", networks=False)
    assert inspected.parameters == sum(value.numel() for key, value in PLAIN.items())
    assert {"target.", "m.a.b."} & {*inspected.second} and "beside " in inspected.text()
    converted = archdsl.weights.convert(tmp_path / "w.pth", tmp_path / "w.safetensors")
    assert converted.tensors == len(SD) and any("which were not read" in note.message for note in converted.notes)
    for source in ("w.pth", "w.safetensors"):
        weights = NETWORK.weights(tmp_path / source)
        for key, value in weights.items():
            np.testing.assert_array_equal(value, SD[key].numpy(), err_msg=key)


def test_rules_of_a_file_in_python(tmp_path: Path) -> None:
    torch.save({key.replace("fc.", "head."): value for key, value in SD.items()}, tmp_path / "w.pth")
    (tmp_path / "map.txt").write_text("# a comment\nhead=fc\n")
    weights = NETWORK.weights(tmp_path / "w.pth", rename=[f"@{tmp_path / 'map.txt'}"])
    np.testing.assert_array_equal(weights["fc.weight"], SD["fc.weight"].numpy())


def test_there_are_enough_cases() -> None:
    assert len(LOADS) + len(REFUSED) >= 80
    assert all(isinstance(value, Tensor) for value in SD.values())


# --- other inputs and heads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 7])
def test_filters_for_other_channels_are_those_of_timm(channels: int) -> None:
    """Tests `backends/weights/adapt.py` against timm's function."""
    from timm.models._manipulate import adapt_input_conv

    network = archdsl.loads(TINY.replace("3x32x32", f"{channels}x32x32"))
    weights = network.weights(SD, adapt_input=True)
    wanted = adapt_input_conv(channels, SD["conv1.conv.weight"])
    np.testing.assert_array_equal(weights["conv1.conv.weight"], wanted.numpy())
    np.testing.assert_array_equal(weights["fc.weight"], SD["fc.weight"].numpy())
    assert "1 filter adapted" in weights.notes[0].message and weights.source == "given; input adapted"
    with pytest.raises(ArchError, match="`--adapt-input`"):
        network.weights(SD)


def test_a_grey_image_gives_what_its_colours_give() -> None:
    grey = archdsl.loads(TINY.replace("3x32x32", "1x32x32"))
    x = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        ours = grey.to_torch(grey.weights(SD, adapt_input=True))(x)
        theirs = NETWORK.to_torch(SD)(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(ours, theirs)


def test_a_preset_for_a_grey_image(tmp_path: Path) -> None:
    recipe = archdsl.load("resnet18", input="1x224x224").recipe
    assert recipe is not None and recipe.layout == "L"
    assert recipe.mean == pytest.approx((0.449,)) and recipe.std == pytest.approx((0.226,))
    assert archdsl.load("resnet18", input="4x224x224").recipe is None
    archdsl.load("lenet5").recipe  # noqa: B018 - its own preprocessing is not a preset


def test_a_head_of_another_form_is_initialised(tmp_path: Path) -> None:
    other = {key: value for key, value in SD.items() if not key.startswith("fc.")}
    other |= {"fc.1.weight": torch.ones(7, 16), "fc.1.bias": torch.ones(7), "fc.3.weight": torch.ones(10, 7)}
    torch.save({"model": other}, tmp_path / "w.pth")
    weights = NETWORK.weights(tmp_path / "w.pth", seed=5, reinit=["fc.*"])
    np.testing.assert_array_equal(weights["fc.weight"], NETWORK.weights(seed=5)["fc.weight"])
    np.testing.assert_array_equal(weights["conv1.conv.weight"], SD["conv1.conv.weight"].numpy())
    assert any("in another form: fc.1.weight, fc.1.bias, fc.3.weight" in note.message for note in weights.notes)


def test_the_width_is_proposed_for_the_last_layer_only() -> None:
    """`-a classes=` changes no layer but the last, even where a hidden layer has as many outputs."""
    text = "input: 4\nargs: {classes: 6}\nnet: {a: fc 6, b: fc classes}\n"
    network = archdsl.loads(text)
    state = dict(network.weights())
    hidden = {**state, "a.weight": np.ones((5, 4), np.float32), "a.bias": np.ones(5, np.float32)}
    with pytest.raises(ArchError) as caught:
        network.weights(hidden)
    assert "-a classes" not in caught.value.diagnostics[0].help
    last = {**state, "b.weight": np.ones((5, 6), np.float32), "b.bias": np.ones(5, np.float32)}
    with pytest.raises(ArchError) as caught:
        network.weights(last)
    assert "`-a classes=5` matches the file" in caught.value.diagnostics[0].help
    fixed = archdsl.loads(text.replace("args: {classes: 6}\n", "").replace("classes", "6"))
    with pytest.raises(ArchError) as caught:
        fixed.weights(last)
    assert "-a classes" not in caught.value.diagnostics[0].help


def test_the_source_of_a_file_of_a_file_is_cut_between_words(tmp_path: Path) -> None:
    sources = []
    weights = NETWORK.weights(seed=3)
    for number in range(4):
        archdsl.backends.weights.save(weights, tmp_path / f"{number}.safetensors")
        weights = NETWORK.weights(tmp_path / f"{number}.safetensors")
        sources.append(weights.source)
    assert sources[1].startswith(f"{sources[0]} (sha256:")
    assert all(source.startswith("random, seed 3 (sha256:") and len(source) < 300 for source in sources)
    assert " ... (sha256:" in sources[-1]


def test_what_was_random_stays_known(tmp_path: Path) -> None:
    """`compile --reinit --to weights`, then a model of that file: `predict` warns that some weights are random."""
    from archdsl.backends.weights.resolve import random_patterns

    torch.save(SD, tmp_path / "w.pth")
    NETWORK.compile(tmp_path / "w.safetensors", "weights", weights=tmp_path / "w.pth", reinit=["fc"], seed=3)
    weights = NETWORK.weights(tmp_path / "w.safetensors")
    assert random_patterns(weights.source) == "with seed 3: fc"
    NETWORK.compile(tmp_path / "t.onnx", weights=tmp_path / "w.safetensors")
    archdsl.load(tmp_path / "t.onnx").compile(tmp_path / "again.onnx")
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    for source in (tmp_path / "t.onnx", tmp_path / "again.onnx", NETWORK):
        given = None if source != NETWORK else tmp_path / "w.safetensors"
        result = archdsl.predict(source, tmp_path / "a.png", weights=given)
        warned = [d.message for d in result.diagnostics if d.code == "W0808"]
        assert warned == ["some weights of `t` are random, with seed 3: fc: its predictions are meaningless"]
    assert not [d for d in archdsl.predict(NETWORK, tmp_path / "a.png", weights=SD).diagnostics if d.code == "W0808"]
