"""The certificate of an ONNX file: what the file was compared with, and the differences.

It is an entry of the file's metadata, in the last field of the file. It contains the SHA-256 of the rest of the file,
so a file that is changed later no longer matches. Reading and writing skip the graph: no weights are loaded.
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
from archdsl.backends.onnx.external import model_files
from archdsl.files.atomic import WrittenFile, atomic_write
from archdsl.files.atomic import sha256 as file_sha256
from archdsl.files.disk import BLOCK
from archdsl.runtime.model import METADATA, model_fields

KEY = "verified"
VERSION = 1
MAX_BATCH = 1024
MAX_INPUT = 100
"""The largest number of characters of the input size in a certificate."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The seed, batch and input size (None: that of the spec) to repeat a run; `facts` is the whole certificate."""

    seed: int
    batch: int
    input: str | None
    facts: Mapping[str, Any]


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of the file without its certificate."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in _without_certificate(file):
            digest.update(piece)
    return digest.hexdigest()


def data_sha256(path: Path) -> str | None:
    """Return the SHA-256 of the model's external data file; of several, that of their hashes; None without one."""
    hashes = [file_sha256(data) for data in model_files(path)[1:]]
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if len(hashes) > 1 else next(iter(hashes), None)


def write(path: Path, facts: dict[str, Any]) -> WrittenFile:
    """Write the certificate into the file, in place of an existing one. The file is replaced completely or not at all.

    Raises E0701 if the file cannot be written, E0704 if the disk is full.
    """
    text = json.dumps({"version": VERSION, **facts}, separators=(",", ":"), ensure_ascii=False)
    with (
        path.open("rb") as file,
        atomic_write(path, force=True, required_bytes=os.path.getsize(path), sync=True) as output,
    ):
        for piece in _without_certificate(file):
            output.write(piece)
        output.write(protobuf.message(METADATA, protobuf.pair(KEY, text)))
    assert output.written is not None
    return output.written


def read(metadata: dict[str, str]) -> Certificate | None:
    """Return the certificate in a file's metadata; None if there is none, or it is not valid."""
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


def _without_certificate(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of all other fields, in pieces."""
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
