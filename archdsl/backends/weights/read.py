"""Read weights files: .safetensors, and torch's .pth without executing anything from the pickle."""

from __future__ import annotations

import os
import re
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.backends.weights import safetensors
from archdsl.backends.weights.safetensors import Broken
from archdsl.backends.weights.tensors import Array, TensorEntry, Weights
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.files.atomic import sha256
from archdsl.packages import install_command

if TYPE_CHECKING:
    import torch

TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model", "weights", "net", "network")
PREFIXES = ("module.", "_orig_mod.")
MAX_PICKLE = 1 << 26


def load(path: str | os.PathLike[str]) -> Weights:
    """Read a .safetensors or torch file, memory-mapped if the format allows; arrays are converted when accessed.

    A wrapper around the tensors (`{"state_dict": ...}`) and the prefix of a parallel model (`module.`) are removed,
    with a note.

    Raises E0601 if the file is damaged or contains no weights, E0602 if a tensor is larger than its data, E0605 if
    torch is missing, E0607 if the file cannot be read.
    """
    file = Path(path)
    notes: list[Diagnostic] = []
    try:
        _check_file(file)
        if file.suffix.lower() == ".safetensors":
            entries = safetensors.read(file)
        elif file.suffix.lower() in TORCH_SUFFIXES:
            entries = _read_torch(file, notes)
        else:
            known = ", ".join((".safetensors", *TORCH_SUFFIXES))
            raise Broken(f"its name must end in one of {known}")
    except Broken as failure:
        raise _broken(file, str(failure)) from failure
    except (OSError, ValueError) as failure:
        raise _unreadable(file, failure) from failure
    if not entries:
        raise _broken(file, "it contains no tensors")
    return Weights(_without_prefix(entries, notes), partial(_fingerprint, file), tuple(notes))


def _fingerprint(file: Path) -> str:
    return f"sha256:{sha256(file)}"


def _check_file(file: Path) -> None:
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise Broken("it is not a regular file")


def _broken(file: Path, why: str, help: str = "") -> ArchError:
    return error("E0601", f"`{file.name[:120]}` is not a usable weights file: {why}", help=help)


def _unreadable(file: Path, failure: OSError | ValueError) -> ArchError:
    why = (failure.strerror if isinstance(failure, OSError) else None) or str(failure)
    return error("E0607", f"cannot read the weights `{str(file)[-120:]}`: {why[:1].lower() + why[1:]}", status=2)


def _without_prefix(entries: dict[str, TensorEntry], notes: list[Diagnostic]) -> dict[str, TensorEntry]:
    for prefix in PREFIXES:
        if all(key.startswith(prefix) and key != prefix for key in entries):
            notes.append(_note(f"removed the prefix `{prefix}` from every name"))
            entries = {key.removeprefix(prefix): entry for key, entry in entries.items()}
    return entries


def _note(message: str) -> Diagnostic:
    return Diagnostic("N0601", message, severity="note")


# --- torch ------------------------------------------------------------------------------------------------


def _read_torch(file: Path, notes: list[Diagnostic]) -> dict[str, TensorEntry]:
    try:
        import torch
    except ImportError as failure:
        raise error(
            "E0605",
            f"reading `{file.name[:120]}` needs torch, which is not installed",
            status=2,
            help=f"{install_command('torch')}, or convert the file to .safetensors",
        ) from failure
    zipped = _check_zip(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as failure:  # the unpickler raises anything for a damaged file, even KeyError(101)
        raise _torch_refusal(file, failure) from None
    tensors = _tensors(content, torch.Tensor, notes)
    return {key: _torch_entry(key, tensor) for key, tensor in tensors.items()}


def _check_zip(file: Path) -> bool:
    """Whether the file has torch's current, zipped format. Raises `Broken` if its content would grow when unpacked."""
    with open(file, "rb") as opened:
        magic = opened.read(4)
    if not magic:
        raise Broken("it is empty")
    if magic != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except Exception as failure:
        raise Broken("it is truncated, or its directory is damaged") from failure
    size = file.stat().st_size
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise Broken("it is compressed; torch writes no compressed files")
        if member.filename.endswith(".pkl") and member.file_size > MAX_PICKLE:
            raise Broken(f"its index has {member.file_size:,} bytes; the maximum is {MAX_PICKLE:,}")
    return True


def _torch_refusal(file: Path, failure: Exception) -> ArchError:
    function = re.search(r"GLOBAL ([\w.]{1,80})", str(failure))
    if function is None:
        return _broken(file, f"torch cannot read it ({type(failure).__name__}); it may be truncated")
    return error(
        "E0601",
        f"`{file.name[:120]}` is not a usable weights file: its pickle refers to Python's `{function[1]}`",
        notes=("archdsl reads only tensors from a weights file; it executed nothing from this one",),
        help="save it again from the model: `torch.save(model.state_dict(), path)`, or as .safetensors",
    )


def _tensors(content: Any, kind: type, notes: list[Diagnostic]) -> Mapping[str, Any]:
    """The mapping of names to tensors inside the file's content."""
    if not isinstance(content, Mapping):
        raise Broken(f"it contains a {type(content).__name__}, not a mapping of names to tensors")
    tensors = {}
    for key, value in _unwrapped(content, kind, notes).items():
        if not isinstance(key, str):
            raise Broken("the name of a tensor is not a string")
        if isinstance(value, kind):
            tensors[key] = value
        else:
            notes.append(_note(f"ignored `{key[:100]}`: not a tensor"))
    return tensors


def _unwrapped(content: Mapping[Any, Any], kind: type, notes: list[Diagnostic]) -> Mapping[Any, Any]:
    for _ in range(3):
        if any(isinstance(value, kind) for value in content.values()):
            return content
        inner = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        rest = sorted(str(key)[:40] for key in content if key != inner)
        notes.append(_note(f"read the tensors in `{inner}`" + (f"; ignored: {', '.join(rest[:10])}" if rest else "")))
        content = content[inner]
    raise Broken("it contains no mapping of names to tensors")


def _torch_entry(key: str, tensor: torch.Tensor) -> TensorEntry:
    import torch

    if (
        tensor.is_nested
        or tensor.layout != torch.strided
        or tensor.device.type != "cpu"
        or tensor.is_quantized
        or tensor.is_complex()
    ):
        raise Broken(f"tensor `{key[:100]}` is not a plain array of real numbers")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise Broken(f"tensor `{key[:100]}` is a {type(tensor).__name__}")
    need, have = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if need > have:
        shape = " x ".join(map(str, tensor.shape))
        raise error(
            "E0602",
            f"tensor `{key[:100]}` has shape {shape} and needs {need:,} bytes, but the file contains {have:,}",
            notes=("torch would repeat the stored values",),
        )
    real = tensor.is_floating_point()
    make: Callable[[], Array] = partial(_torch_values, tensor, torch.float32 if real else torch.int64)
    return TensorEntry(tuple(tensor.shape), "float32" if real else "int64", make)


def _torch_values(tensor: torch.Tensor, dtype: torch.dtype) -> Array:
    return tensor.detach().to(dtype).contiguous().numpy()
