"""A record in an ONNX file that says what the file was compared with, and how far it was from it.

It is one entry of the file's metadata, its last field. With it stands the SHA-256 of everything else in the file, so
that a file that was changed afterwards no longer matches. Reading and writing step over the graph: no weight is loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from archdsl.backends.onnx import protobuf
from archdsl.files.atomic import WrittenFile, atomic_write
from archdsl.files.atomic import sha256 as file_sha256
from archdsl.files.disk import BLOCK
from archdsl.runtime.model import METADATA, model_fields

KEY = "verified"
VERSION = 1
MAX_BATCH = 1024
MAX_INPUT = 100
"""Characters of the input size that a certificate states."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What repeats a run: its seed, its batch and its input size (None: as in the spec); `facts` is all that the
    certificate states."""

    seed: int
    batch: int
    input: str | None
    facts: Mapping[str, Any]


def content_sha256(path: Path) -> str:
    """The SHA-256 of the file without its certificate."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in _without(file):
            digest.update(piece)
    return digest.hexdigest()


def data_sha256(path: Path) -> str | None:
    """That of the file of weights beside the model, where there is one."""
    data = path.with_name(f"{path.name}.data")
    return file_sha256(data) if data.is_file() else None


def write(path: Path, facts: dict[str, Any]) -> WrittenFile:
    """Puts the certificate into the file, in the place of one that is there. The file is replaced whole or not at all.

    Errors: E0701, E0704.
    """
    text = json.dumps({"version": VERSION, **facts}, separators=(",", ":"), ensure_ascii=False)
    with (
        path.open("rb") as file,
        atomic_write(path, force=True, required_bytes=os.path.getsize(path), sync=True) as output,
    ):
        for piece in _without(file):
            output.write(piece)
        output.write(protobuf.message(METADATA, protobuf.pair(KEY, text)))
    assert output.written is not None
    return output.written


def read(metadata: dict[str, str]) -> Certificate | None:
    """The certificate in a file's metadata; None if there is none, or one that is not valid. It may come from anybody."""
    try:
        facts = json.loads(metadata[KEY])
    except (KeyError, ValueError, RecursionError):
        return None
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        return None
    seed, batch, size = facts.get("seed"), facts.get("batch"), facts.get("input")
    if type(seed) is not int or type(batch) is not int or not (0 <= seed < 2**63 and 1 <= batch <= MAX_BATCH):
        return None
    if size is not None and not (isinstance(size, str) and len(size) < MAX_INPUT):
        return None
    return Certificate(seed, batch, size, facts)


def _without(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of all fields but the certificate's, in pieces."""
    size = os.fstat(file.fileno()).st_size
    start, kept = 0, []
    for field in model_fields(file, size):
        if field.number == METADATA and protobuf.read_pair(file.read(field.end - field.begin))[0] == KEY:
            kept.append((start, field.start))
            start = field.end
    kept.append((start, size))
    for begin, end in kept:
        file.seek(begin)
        while begin < end:
            piece = file.read(min(BLOCK, end - begin))
            if not piece:
                return
            begin += len(piece)
            yield piece
