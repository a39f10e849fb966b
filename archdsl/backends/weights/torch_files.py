"""Read files of `torch.save`, in its zipped and in its older form, without torch and without running their pickles.

The pickle describes tensors as views of storages; the storages are bytes of the file, which is mapped.
(Format: torch/serialization.py.)
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from archdsl.backends.weights.dtypes import DTYPES, TORCH_DTYPES, as_array, is_real
from archdsl.backends.weights.pickles import Calls, Foreign, Global, read_pickle
from archdsl.backends.weights.tensors import Array, Broken, TensorEntry
from archdsl.diagnostics import ArchError, error

MAX_PICKLE = 1 << 26
MAX_AXES = 16
_PICKLED = (
    "was pickled without `torch.save`: load the file with `pickle.load`, and save what it contains with `torch.save`"
)
_OTHER_TYPE = "is of another type: convert it to a plain tensor before saving"
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@dataclass(eq=False, slots=True)
class Storage:
    """Bytes of the file; `data` is set when their place is known."""

    dtype: str
    count: int
    data: Array | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.data is None else len(self.data)


@dataclass(eq=False, slots=True)
class StoredTensor:
    """A view of a storage; sizes in values. `other` says what it is if it is no plain tensor. `order` is that of the
    bytes; the values of a `negative` one are those of the storage with the other sign."""

    storage: Storage | None = None
    dtype: str = ""
    offset: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    other: str = ""
    order: Literal["<", ">"] = "<"
    negative: bool = False

    def entry(self, key: str) -> TensorEntry:
        """Return the tensor as an entry. Raises E0601 if it is no plain tensor, E0602 if it has fewer bytes."""
        if self.other or self.storage is None or self.dtype not in DTYPES:
            raise _refused(key, self.other or f"has the type {self.dtype[:40]}, which archdsl does not read")
        width = np.dtype(DTYPES[self.dtype]).itemsize
        need, have = prod(self.shape) * width, self.storage.nbytes
        if need > have:
            shape = " x ".join(map(str, self.shape))
            raise error(
                "E0602",
                f"tensor `{key[:100]}` has shape {shape} and needs {need:,} bytes, but the file contains {have:,}",
                notes=("torch would repeat the stored values",),
            )
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if need and (last + 1) * width > have:
            raise _refused(key, "reaches past the end of its data")
        dtype = "float32" if is_real(self.dtype) else "int64"
        return TensorEntry(self.shape, dtype, partial(_values, self), self.dtype)


def _refused(key: str, why: str) -> ArchError:
    return error("E0601", f"tensor `{key[:100]}` {why}")


def _values(tensor: StoredTensor) -> Array:
    assert tensor.storage is not None and tensor.storage.data is not None
    stored = np.dtype(DTYPES[tensor.dtype]).newbyteorder(tensor.order)
    data = tensor.storage.data
    values = data[: len(data) // stored.itemsize * stored.itemsize].view(stored)[tensor.offset :]
    if not prod(tensor.shape):
        return as_array(np.empty(tensor.shape, stored), tensor.dtype)
    strides = tuple(stride * stored.itemsize for stride in tensor.strides)
    view = as_array(np.lib.stride_tricks.as_strided(values, tensor.shape, strides), tensor.dtype)
    plain = np.negative(view) if tensor.negative else view
    return np.ascontiguousarray(plain).reshape(tensor.shape)  # else a scalar gets an axis


# --- what the pickle calls ----------------------------------------------------------------------------------


def _view(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any = False, _hooks: Any = None, bits: Any = None
) -> StoredTensor:
    """A tensor; `bits` are torch's marks of operations that the stored values have yet to undergo."""
    if isinstance(storage, Foreign) and storage.name == "torch.storage._load_from_bytes":
        return StoredTensor(other=_PICKLED)
    numbers = (offset, *shape, *strides)
    plain = all(type(n) is int and 0 <= n < 1 << 62 for n in numbers)
    if not isinstance(storage, Storage) or not plain or len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise Broken("a tensor has no proper shape")
    marks = {mark for mark, is_set in bits.items() if is_set} if isinstance(bits, dict) else {bits} - {None}
    if marks - {"neg"}:
        return StoredTensor(other="has values that torch has yet to compute: call `.resolve_conj()` before saving")
    return StoredTensor(storage, storage.dtype, offset, tuple(shape), tuple(strides), negative="neg" in marks)


def _typed_view(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, bits: Any = None
) -> StoredTensor:
    view = _view(storage, offset, shape, strides, grad, hooks, bits)
    view.dtype = getattr(dtype, "name", "").removeprefix("torch.")
    return view


def _other(what: str) -> Callable[..., StoredTensor]:
    return lambda *_: StoredTensor(other=what)


def _same(first: Any, *_: Any) -> Any:
    return first


def _of_type(function: Any, kind: Any, args: Any, *_: Any) -> Any:
    """A tensor of a subclass: `function(*args)` makes the plain one."""
    known = _CALLS.get(getattr(function, "name", ""))
    return known(*args) if known is not None and isinstance(args, tuple) else StoredTensor(other=_OTHER_TYPE)


@dataclass(eq=False, slots=True)
class _NumPy(Foreign):
    """An array of NumPy; its state is (version, shape, dtype, whether in Fortran's order, bytes), and the order of its
    axes if that is another."""

    def __init__(self, *_: Any) -> None:
        Foreign.__init__(self, "numpy.ndarray")


def _of_buffer(data: Any, dtype: Any, shape: Any, order: Any, *axes: Any) -> _NumPy:
    """An array as protocol 5 pickles it."""
    array = _NumPy()
    array.state = (1, shape, dtype, order == "F", data, *(axes if order == "K" else ()))
    return array


def _of_joblib(*_: Any) -> None:
    raise Broken("joblib wrote it: load it with `joblib.load`, and save its tensors with `torch.save` or `numpy.savez`")


_CALLS: Calls = {
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch._utils._rebuild_tensor_v3": _typed_view,
    "torch._utils._rebuild_parameter": _same,
    "torch._utils._rebuild_parameter_with_state": _same,
    "torch.nn.parameter.Parameter": _same,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_qtensor": _other("is quantised: convert the model before quantising it"),
    "torch._utils._rebuild_sparse_tensor": _other("is sparse: call `.to_dense()` before saving"),
    "torch._utils._rebuild_meta_tensor_no_storage": _other("has no data: it is on the device `meta`"),
    "torch._utils._rebuild_nested_tensor": _other("contains tensors of several shapes"),
    "torch._utils._rebuild_wrapper_subclass": _other(_OTHER_TYPE),
    # a tensor of a device, by a copy in memory
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _same,
    "torch._utils._rebuild_device_tensor_from_numpy": _same,
    "torch._utils._rebuild_xla_tensor": _same,
    **{f"numpy.{core}.multiarray._reconstruct": _NumPy for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _of_buffer for core in ("core", "_core")},
    "joblib.numpy_pickle.NumpyArrayWrapper": _of_joblib,
}


def as_tensor(value: Any) -> StoredTensor | None:
    """Return what the pickle says of a tensor, or of an array of NumPy; None for anything else."""
    if isinstance(value, StoredTensor):
        return value
    if isinstance(value, Foreign) and value.name.startswith("torch._utils._rebuild_"):
        return StoredTensor(other=_OTHER_TYPE)
    if not isinstance(value, _NumPy):
        return None
    try:
        _, shape, dtype, fortran, data, *axes = value.state
        if not dtype.args[0].isidentifier():  # `f4`; NumPy would parse the Python in `(2,)f4`
            raise ValueError
        stored = np.dtype(dtype.args[0])
        ends = dtype.state[1] if isinstance(dtype.state, tuple) else "|"
        name = stored.name
        if stored.hasobject or not isinstance(data, (bytes, bytearray)) or len(shape) > MAX_AXES:
            return StoredTensor(other="is an array that archdsl does not read")
        steps = [prod(shape[:n]) if fortran else prod(shape[n + 1 :]) for n in range(len(shape))]
        order = axes[0] if axes else range(len(shape))
        if sorted(order) != list(range(len(shape))):
            raise ValueError
        sizes, strides = (tuple(numbers[axis] for axis in order) for numbers in (shape, steps))
        view = _view(Storage(name, len(data), np.frombuffer(data, np.uint8)), 0, sizes, strides)
        view.order = ">" if ends == ">" else "<"
    except (TypeError, ValueError, AttributeError, IndexError):
        return StoredTensor(other="is an array that is damaged")
    return view


# --- the two forms ------------------------------------------------------------------------------------------


def _persistent(storages: dict[str, Storage]) -> Callable[[Any], Any]:
    def storage(key: Any) -> Any:
        if key[0] == "module":  # before 1.6 a class comes with its source, which nothing needs
            return key[1]
        kind, typed, name, _, count = key[:5]
        if (
            kind != "storage"
            or key[5:] not in ((), (None,))
            or not isinstance(typed, (Global, Foreign))
            or type(count) is not int
        ):
            raise Broken("its pickle refers to data that archdsl does not know")
        dtype = TORCH_DTYPES.get(typed.name.rpartition(".")[2], typed.name)
        return storages.setdefault(str(name), Storage(dtype, count))

    return storage


def _content(value: Any) -> Any:
    """Return what a file contains. Raises `Broken` if it is neither a tensor nor a container or an object."""
    if isinstance(value, (dict, list, Foreign, StoredTensor)):
        return value
    kinds = {tuple: "a tuple", Global: "a class or a function", Storage: "a storage, which has no shape"}
    what = "None" if value is None else kinds.get(type(value), f"one value of the type `{type(value).__name__}`")
    raise Broken(f"it contains {what}, not a mapping of names to tensors")


def read_zipped(path: Path, archive: zipfile.ZipFile) -> Any:
    """Return the content of a file in torch's zipped form, of which nothing is compressed."""
    members = {member.filename: member for member in archive.infolist()}
    pickle = next(name for name in members if name.endswith("data.pkl"))
    root = pickle.removesuffix("data.pkl")
    if members[pickle].file_size > MAX_PICKLE:
        raise Broken(f"its index has {members[pickle].file_size:,} bytes; the maximum is {MAX_PICKLE:,}")
    if f"{root}byteorder" in members and archive.read(f"{root}byteorder")[:8] == b"big":
        raise Broken("its numbers are in big-endian order")
    storages: dict[str, Storage] = {}
    content = _content(read_pickle(io.BytesIO(archive.read(pickle)), _CALLS, _persistent(storages)))
    data = np.memmap(path, np.uint8, "c")  # copy on write: torch accepts no read-only array
    for name, storage in storages.items():
        if f"{root}data/{name}" in members:
            storage.data = member_bytes(data, members[f"{root}data/{name}"])
    return content


def member_bytes(data: Array, member: zipfile.ZipInfo) -> Array:
    """Return the bytes of an uncompressed member of a zip file that is mapped as `data`."""
    head = bytes(data[member.header_offset : member.header_offset + 30])
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise Broken("its directory is damaged")
    at = member.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    found: Array = data[at : at + member.file_size]
    return found


def read_old(path: Path, file: BinaryIO) -> Any:
    """Return the content of a file in torch's form before 1.6, or of a plain pickle."""
    storages: dict[str, Storage] = {}
    first = read_pickle(file, _CALLS, _persistent(storages))
    if first != _MAGIC:
        return _content(first)
    version, system = (read_pickle(file, {}, _persistent({})) for _ in range(2))
    if version != _PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Broken("it has an unknown version of torch's older format")
    content = _content(read_pickle(file, _CALLS, _persistent(storages)))
    keys = read_pickle(file, {}, _persistent({}))
    data = np.memmap(path, np.uint8, "c")
    at = file.tell()
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(str(key))
        count = int.from_bytes(bytes(data[at : at + 8]), "little")
        if storage is None or storage.dtype not in DTYPES or count > len(data):
            raise Broken("its data is damaged")
        size = count * np.dtype(DTYPES[storage.dtype]).itemsize
        if at + 8 + size > len(data):
            raise Broken("it is truncated")
        storage.data = data[at + 8 : at + 8 + size]
        at += 8 + size
    return content
