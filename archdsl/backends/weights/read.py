"""Read weights files of any layout, by their content, whatever their names, and without executing anything.

Every reader returns tensors by their full name in the file, `state_dict.module.fc.weight`: the place of a mapping is a
prefix of its names. `layout.py` finds the prefix below which the tensors of a network are.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from archdsl.backends.weights import arrays, safetensors, torch_files
from archdsl.backends.weights.doubts import doubts
from archdsl.backends.weights.pickles import Foreign, Harmful
from archdsl.backends.weights.tensors import Broken, TensorEntry, Weights
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.files.atomic import reason, sha256
from archdsl.report.text import few

MAX_NODES = 300_000
"""Values of a file that are looked at: containers that contain one another have no end."""
MAX_DEPTH = 32
MAX_NAME = 1000
MAX_SHARDS = 1000
INDEX = ".index.json"
_MODULE = ("_parameters", "_buffers", "_modules")
_OTHER_FORMATS = {
    b"\x1f\x8b": "compressed with gzip: unpack it with `gunzip`",
    b"BZh": "compressed with bzip2: unpack it with `bunzip2`",
    b"\xfd7zXZ": "compressed with xz: unpack it with `unxz`",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it with `unzstd`",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x89HDF": "an HDF5 file, as Keras writes: archdsl reads torch's files, safetensors and npz",
    b"GGUF": "a GGUF file: archdsl reads torch's files, safetensors and npz",
    b"\x93NUMPY": "one NumPy array, which has no name: save them with `numpy.savez`",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: `git lfs pull` downloads it",
    b"<!DOCTYPE": "a web page: the download failed",
    b"<html": "a web page: the download failed",
}
"""By first bytes: what a file is that archdsl does not read."""


class Checkpoint(Weights):
    """All tensors of a file by their full names. `problems` are the errors of those that cannot be used, by name;
    `places` are the prefixes of its mappings, with the number of tensors directly in each; `format` is the file's;
    `claim` is the source that a safetensors file states for its weights, such as `random, seed 0`."""

    def __init__(
        self,
        entries: Mapping[str, TensorEntry],
        source: str | Callable[[], str],
        notes: tuple[Diagnostic, ...] = (),
        problems: Mapping[str, ArchError] | None = None,
        places: Mapping[str, int] | None = None,
        format: str = "",
        claim: str = "",
    ) -> None:
        super().__init__(entries, source, notes)
        self.problems, self.places, self.format = problems or {}, places or {"": len(entries)}, format
        self.claim = claim

    def stated(self, source: Callable[[], str]) -> Checkpoint:
        """Return the same tensors with another source."""
        return Checkpoint(self.entries, source, self.notes, self.problems, self.places, self.format, self.claim)

    def noted(self, notes: Iterable[Diagnostic]) -> Checkpoint:
        """Return the same tensors with other notes; the source, which may need the whole file, is computed once."""
        return Checkpoint(
            self.entries, lambda: self.source, tuple(notes), self.problems, self.places, self.format, self.claim
        )


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a file of safetensors, torch (zipped or older), pickled NumPy arrays or npz, or a folder or index of shards.

    Tensors are mapped if the format allows, and arrays are converted when accessed. Nothing needs torch. Python objects
    beside the tensors are set aside, with a note; a whole module is read as its state_dict. Notes also warn about a
    file that is not what its name says (W0624), or that nobody trained (W0625).

    Raises E0601 if the file is damaged, harmful, of another format, or contains no weights, E0602 if a tensor is larger
    than its data, E0607 if the file cannot be read.
    """
    file = Path(path)
    try:
        found = _read(file)
    except Broken as failure:
        raise broken(file, str(failure)) from failure
    except Harmful as failure:
        raise _harmful(file, str(failure)) from None
    except (OSError, ValueError) as failure:
        raise _unreadable(file, failure) from failure
    if not found.entries:
        raise next(iter(found.problems.values()), broken(file, "it contains no tensors with names"))
    return found.noted((*found.notes, *doubts(file, found, found.claim)))


def broken(file: Path, why: str, help: str = "") -> ArchError:
    """E0601 for a file that cannot be used, and the reason."""
    return error("E0601", f"`{file.name[:120]}` is not a usable weights file: {why}", help=help)


def _harmful(file: Path, name: str) -> ArchError:
    return error(
        "E0601",
        f"`{file.name[:120]}` is not a usable weights file: its pickle refers to Python's `{name[:80]}`",
        notes=("a file with tensors needs no such function; archdsl executed nothing from this one",),
        help="do not open this file with other programs; get the weights from another place, as .safetensors",
    )


def _unreadable(file: Path, failure: OSError | ValueError) -> ArchError:
    return error("E0607", f"cannot read the weights `{str(file)[-120:]}`: {reason(failure)}", status=2)


def _read(file: Path) -> Checkpoint:
    mode = os.stat(file).st_mode
    if stat.S_ISDIR(mode):
        return _folder(file)
    if not stat.S_ISREG(mode):
        raise Broken("it is not a regular file")
    with open(file, "rb") as opened:
        head = opened.read(512)
    if file.suffix.lower() == ".safetensors" or head[8:9] == b"{":
        entries, claim = safetensors.read(file), safetensors.metadata(file).get("weights", "")
        return Checkpoint(entries, partial(_fingerprint, file), format="safetensors", claim=claim)
    if file.name.endswith(INDEX):
        return _shards(file)
    if not head:
        raise Broken("it is empty")
    if head[:4] == b"PK\x03\x04":
        return _zip(file)
    if other := _other_format(head):
        raise Broken(f"it is {other}")
    if head[:1] not in b"\x80(c}]":
        raise Broken("its content is none of the formats that archdsl reads: safetensors, torch's files, npz")
    with open(file, "rb") as opened:
        content = torch_files.read_old(file, opened)
    return _from_content(content, partial(_fingerprint, file), "torch, before 1.6")


def _other_format(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model: archdsl reads torch's files, safetensors and npz"
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b":"):  # the version, then the producer or the graph
        return "an ONNX file: use it as SPEC, or write its weights with `archdsl import --weights`"
    return next((what for magic, what in _OTHER_FORMATS.items() if head.startswith(magic)), "")


def _fingerprint(*files: Path) -> str:
    if len(files) == 1:
        return f"sha256:{sha256(files[0])}"
    return f"sha256:{hashlib.sha256(''.join(map(sha256, files)).encode()).hexdigest()} of {len(files)} files"


# --- zip files ----------------------------------------------------------------------------------------------


def _zip(file: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(file) as archive:
            return _members(file, archive)
    except (Broken, Harmful, ArchError):
        raise
    except Exception as failure:
        if isinstance(failure, OSError) and failure.errno != errno.EINVAL:  # a damaged directory has wrong positions
            raise
        raise Broken("it is truncated, or its directory is damaged") from failure


def _members(file: Path, archive: zipfile.ZipFile) -> Checkpoint:
    members = archive.infolist()
    names = [member.filename for member in members]
    if names and all(name.endswith(".npy") for name in names):
        return Checkpoint(arrays.read(file, archive), partial(_fingerprint, file), format="npz")
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise Broken("it is a TorchScript program: save the `state_dict()` of `torch.jit.load(path)`")
    if any(name.endswith(("models/model.json", "serialized_exported_program.json")) for name in names):
        raise Broken("it is an exported program: save the `state_dict` of `torch.export.load(path)`")
    if not any(name.endswith("data.pkl") for name in names):
        listed = ", ".join(name[:40] for name in names[:3]) or "nothing"
        raise Broken(f"it is a zip archive that torch did not write, and contains {listed}: unpack it")
    size = file.stat().st_size
    if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > size for member in members):
        raise Broken("it is compressed; torch writes no compressed files")
    return _from_content(torch_files.read_zipped(file, archive), partial(_fingerprint, file), "torch")


# --- folders and shards -------------------------------------------------------------------------------------


def _folder(folder: Path) -> Checkpoint:
    names = sorted(os.listdir(folder))
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        raise Broken(
            "it is a distributed checkpoint: convert it with `torch.distributed.checkpoint.format_utils."
            "dcp_to_torch_save`"
        )
    for ending in (f".safetensors{INDEX}", f".bin{INDEX}", ".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".npz"):
        matching = [name for name in names if name.endswith(ending)]
        if len(matching) > 1:
            raise Broken(f"the folder has {len(matching)} files that end in {ending}: name one of them")
        if matching:
            found = _read(folder / matching[0])
            return found.noted((note(f"read `{matching[0][:100]}` of the folder"), *found.notes))
    raise Broken("the folder contains no weights file")


def _shards(index: Path) -> Checkpoint:
    """The tensors of an index of Hugging Face's form: names of tensors by the file in the same folder."""
    with open(index, "rb") as opened:
        text = opened.read(safetensors.MAX_HEADER + 1)
    try:
        table = json.loads(text)["weight_map"] if len(text) <= safetensors.MAX_HEADER else None
    except (ValueError, RecursionError, KeyError, TypeError):
        table = None
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise Broken("it is not an index of shards with a `weight_map`")
    shards = dict.fromkeys(table.values())
    if len(shards) > MAX_SHARDS:
        raise Broken(f"it has more than {MAX_SHARDS:,} shards")
    entries: dict[str, TensorEntry] = {}
    files = []
    for name in shards:
        if not name or name != os.path.basename(name) or name.startswith(".") or name.endswith(INDEX):
            raise Broken(f"its shard `{name[:80]}` is not a file in the same folder")
        try:
            shard = _read(index.parent / name)
        except FileNotFoundError:
            raise Broken(f"its shard `{name[:80]}` is missing") from None
        entries |= {key: entry for key, entry in shard.entries.items() if table.get(key) == name}
        files.append(index.parent / name)
    if lacking := [key for key in table if key not in entries]:
        raise Broken(f"{len(lacking):,} tensors are not in their shards, for example `{lacking[0][:80]}`")
    return Checkpoint(entries, partial(_fingerprint, index, *files), format=f"{len(files)} shards")


# --- the content of a pickle --------------------------------------------------------------------------------


def note(message: str) -> Diagnostic:
    """A note on how the tensors were read or changed."""
    return Diagnostic("N0601", message, severity="note")


def _from_content(content: Any, source: Callable[[], str], format: str) -> Checkpoint:
    if torch_files.as_tensor(content) is not None or not isinstance(content, (dict, Foreign)):
        what = "one tensor without a name" if not isinstance(content, list) else "a list"
        raise Broken(f"it contains {what}, not a mapping of names to tensors")
    entries: dict[str, TensorEntry] = {}
    problems: dict[str, ArchError] = {}
    objects: dict[str, None] = {}
    places: dict[str, int] = {}
    stack: list[tuple[str, Any, int, str | None]] = [("", content, 0, None)]
    for count in range(MAX_NODES + 1):
        if not stack:
            break
        if count == MAX_NODES:
            raise Broken(f"it contains more than {MAX_NODES:,} values, or mappings in one another without end")
        name, value, depth, place = stack.pop()
        tensor = torch_files.as_tensor(value)
        if tensor is not None:
            try:
                entries[name] = tensor.entry(name)
                places[place or ""] = places.get(place or "", 0) + 1
            except ArchError as failure:
                problems[name] = failure
        elif depth < MAX_DEPTH:
            if isinstance(value, Foreign) and not value.name.startswith("torch."):
                objects[value.name[:80]] = None
            inner = f"{name}." if name else ""
            if not isinstance(value, Foreign) or place is None:  # the parts of a module belong to the whole
                place = inner
            stack += [(inner + key, child, depth + 1, place) for key, child in reversed(_children(value))]
    aside = few([f"`{name}`" for name in objects], 5)
    notes = (note(f"set aside, and not run: Python's {aside}"),) if objects else ()
    return Checkpoint(entries, source, notes, problems, places, format)


def _children(value: Any) -> list[tuple[str, Any]]:
    """The parts of a container by name. A tensor in a list has none; a module has its parameters and buffers first."""
    if isinstance(value, (list, tuple)):
        return [(str(n), child) for n, child in enumerate(value) if isinstance(child, (dict, Foreign))]
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, Foreign) and torch_files.as_tensor(value) is None:
        items = [*value.items.items(), *_state(value.state)]
    numbered = [(str(key), child) for key, child in items if type(key) is int and isinstance(child, (dict, Foreign))]
    named = [(key, child) for key, child in items if isinstance(key, str)]
    if any(len(key) > MAX_NAME for key, _ in named):
        raise Broken(f"a name has more than {MAX_NAME:,} characters")
    return [*named, *(pair for pair in numbered if pair[0])]


def _state(state: Any) -> list[tuple[Any, Any]]:
    if isinstance(state, tuple) and state and isinstance(state[0], dict):
        state = state[0]
    if not isinstance(state, dict):
        return []
    if not all(isinstance(state.get(part), dict) for part in _MODULE):
        return list(state.items())
    passing = state.get("_non_persistent_buffers_set")
    hidden = set(filter(lambda name: isinstance(name, str), passing)) if isinstance(passing, list) else set()
    parts = [pair for part in _MODULE for pair in state[part].items()]
    return [(key, child) for key, child in parts if key not in hidden]
