"""Weights files: .safetensors, and torch's .pth without ever running what a pickle asks for."""

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
    """The tensors of a .safetensors or torch file, mapped where the format allows, converted when asked for.

    A wrapper around the tensors (`{"state_dict": ...}`) and the prefix of a parallel model (`module.`) are taken
    off, with a note.

    Errors: E0601 broken, or no weights; E0602 a tensor larger than its bytes; E0605 torch is needed; E0607 the file
    cannot be read.
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
            raise Broken(f"its name ends in none of {known}")
    except Broken as failure:
        raise _broken(file, str(failure)) from failure
    except (OSError, ValueError) as failure:
        raise _unreadable(file, failure) from failure
    if not entries:
        raise _broken(file, "it holds no tensors")
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
            notes.append(_note(f"every name began with `{prefix}`: left off"))
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
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as failure:  # the unpickler raises whatever a broken file leads it to, KeyError(101) included
        raise _torch_refusal(file, failure) from None
    tensors = _tensors(found, torch.Tensor, notes)
    return {key: _torch_entry(key, tensor) for key, tensor in tensors.items()}


def _check_zip(file: Path) -> bool:
    """Whether the file is of torch's present, zipped format. Refuses what would grow when unpacked."""
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
        raise Broken("it is cut off, or its directory is damaged") from failure
    size = file.stat().st_size
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise Broken("it is compressed; torch writes its parts as they are")
        if member.filename.endswith(".pkl") and member.file_size > MAX_PICKLE:
            raise Broken(f"its index has {member.file_size:,} bytes; at most {MAX_PICKLE:,} are read")
    return True


def _torch_refusal(file: Path, failure: Exception) -> ArchError:
    named = re.search(r"GLOBAL ([\w.]{1,80})", str(failure))
    if named is None:
        return _broken(file, f"torch cannot read it ({type(failure).__name__}); it may be cut off")
    help = "write it again from the model: `torch.save(model.state_dict(), path)`, or as .safetensors"
    return error(
        "E0601",
        f"`{file.name[:120]}` is not a usable weights file: it asks for Python's `{named[1]}`",
        notes=("only tensors are read from a weights file; nothing of it was executed",),
        help=help,
    )


def _tensors(found: Any, kind: type, notes: list[Diagnostic]) -> Mapping[str, Any]:
    """The mapping of names to tensors inside what the file holds."""
    if not isinstance(found, Mapping):
        raise Broken(f"it holds a {type(found).__name__}, not tensors by name")
    tensors = {}
    for key, value in _unwrapped(found, kind, notes).items():
        if not isinstance(key, str):
            raise Broken("a tensor's name is not text")
        if isinstance(value, kind):
            tensors[key] = value
        else:
            notes.append(_note(f"`{key[:100]}` is no tensor: left aside"))
    return tensors


def _unwrapped(found: Mapping[Any, Any], kind: type, notes: list[Diagnostic]) -> Mapping[Any, Any]:
    for _ in range(3):
        if any(isinstance(value, kind) for value in found.values()):
            return found
        inner = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        rest = sorted(str(key)[:40] for key in found if key != inner)
        notes.append(_note(f"read from its `{inner}`" + (f"; left aside: {', '.join(rest[:10])}" if rest else "")))
        found = found[inner]
    raise Broken("it holds no tensors by name")


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
            f"tensor `{key[:100]}` says it is {shape}, {need:,} bytes, but the file holds {have:,} of it",
            notes=("its numbers would be made up by repetition",),
        )
    real = tensor.is_floating_point()
    make: Callable[[], Array] = partial(_torch_numbers, tensor, torch.float32 if real else torch.int64)
    return TensorEntry(tuple(tensor.shape), "float32" if real else "int64", make)


def _torch_numbers(tensor: torch.Tensor, dtype: torch.dtype) -> Array:
    return tensor.detach().to(dtype).contiguous().numpy()
