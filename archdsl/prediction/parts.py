"""Write the rows of a run to a file, or to a folder with one file per chunk, which a killed run resumes.

A file of a chunk is written atomically: it exists if and only if the chunk is finished. `_manifest.json` has the hashes
of all that decides the rows, so that no run adds to the rows of another one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archdsl.backends.onnx.external import model_files
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, conflict
from archdsl.files.atomic import OutputFile, atomic_write, directory_lock, make_folder, remove_leftovers, sha256
from archdsl.prediction.result import Prediction, Row
from archdsl.prediction.tables import TABLES, Columns, TableFormat

SUFFIXES: dict[str, TableFormat] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
MANIFEST = "_manifest.json"


def table_format(output: str | Path, format: str | None = None) -> tuple[TableFormat, bool]:
    """Return the format of a table, by default that of its suffix or else `jsonl`, and whether `output` is one file.

    Raises E0001 for an unknown format, E0003 for a file of another format.
    """
    suffix = None if os.path.isdir(output) else SUFFIXES.get(Path(output).suffix.lower())
    if format is not None:
        check_choice("format", format, TABLES)
        if suffix not in (None, format):
            raise conflict(f"`{output}` is a file of the format {suffix}, not {format}", help="leave out `--format`")
    return next((known for known in TABLES if known == format), suffix or "jsonl"), suffix is not None


def write_table(
    rows: Iterable[Row], path: Path, format: TableFormat, columns: Columns, count: int, **target: Any
) -> None:
    """Write `count` rows to a file, completely or not at all; `target` are the options of `atomic_write`.

    Requested outputs are columns of Parquet; otherwise each is a file `NAME.OUTPUT.npy` beside the table with one row
    per row of the table, NaN where the image has no prediction.

    Raises E07xx if a file cannot be written, E0834 if an output does not fit an array.
    """
    if format != "parquet":
        rows = _saved(rows, path, columns.outputs, count, target)
    with atomic_write(path, **target) as file:
        for piece in TABLES[format](rows, columns):
            file.write(piece)


def _saved(
    rows: Iterable[Row], path: Path, outputs: Iterable[str], count: int, target: Mapping[str, Any]
) -> Iterator[Row]:
    """Pass the rows on, and write the requested outputs on the way; the files are in place after the last row."""
    with ExitStack() as files:
        arrays = []
        for name in outputs:
            place = path.with_suffix(f".{re.sub('[^A-Za-z0-9_-]+', '_', name)[:80]}.npy")
            arrays.append(_ArrayFile(name, files.enter_context(atomic_write(place, **target)), count))
        for row in rows:
            for array in arrays:
                array.add(row.values.get(array.name) if isinstance(row, Prediction) else None)
            yield row
        for array in arrays:
            array.finish()


class _ArrayFile:
    """A `.npy` file that is written row by row; its shape is that of the first row that has values."""

    def __init__(self, name: str, file: OutputFile, count: int) -> None:
        self.name, self._file, self._count = name, file, count
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[Any] = np.dtype(np.float32)
        self._missing = 0

    def add(self, value: npt.NDArray[np.generic] | None) -> None:
        if value is None:
            self._missing += 1
            return
        if self._shape is None:
            if value.dtype.kind != "f":
                raise self._unfit(
                    f"has values of type {value.dtype}, which have no NaN for images without a prediction"
                )
            self._start(value.shape, value.dtype)
        elif value.shape != self._shape:
            raise self._unfit(f"has the shapes {self._shape} and {value.shape}, which one array cannot hold")
        self._fill()
        self._file.write(np.ascontiguousarray(value).tobytes())

    def finish(self) -> None:
        if self._shape is None:
            self._start((0,), self._dtype)
        self._fill()

    def _start(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        header = io.BytesIO()
        described = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_1_0(
            header, {"descr": described, "fortran_order": False, "shape": (self._count, *shape)}
        )
        self._file.write(header.getvalue())

    def _fill(self) -> None:
        if self._shape and self._missing:
            self._file.write(np.full((self._missing, *self._shape), np.nan, self._dtype).tobytes())
        self._missing = 0

    def _unfit(self, why: str) -> Exception:
        return error("E0834", f"the output `{self.name}` {why}", status=2, help="write Parquet: `--format parquet`")


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """A folder with one file per chunk; several runs, one per shard, may write to it at the same time."""

    folder: Path
    format: TableFormat
    columns: Columns

    def path(self, chunk: int) -> Path:
        return self.folder / f"part-{chunk:06}.{self.format}"

    def finished(self, chunks: Collection[int]) -> set[int]:
        """The chunks whose file exists."""
        return {chunk for chunk in chunks if self.path(chunk).exists()}

    def begin(self, manifest: Mapping[str, object], chunks: Collection[int], resume: bool) -> set[int]:
        """Make the folder if it does not exist, and return the finished chunks.

        Raises E0831 if it has files of another run, E0832 if chunks are finished and `resume` is not set, E07xx if it
        cannot be written.
        """
        make_folder(self.folder)
        path = self.folder / MANIFEST
        remove_leftovers(self.folder)
        with directory_lock(self.folder):
            if path.is_file() or any(self.folder.glob("part-*")):
                self._check(path, manifest)
            else:
                text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
                with atomic_write(path, force=True) as file:
                    file.write(text.encode())
        finished = self.finished(chunks)
        if finished and not resume:
            raise error(
                "E0832",
                f"`{self.folder}` has {len(finished):,} of the {len(chunks):,} chunks of this run",
                status=2,
                help="continue with `--resume`, or name another folder",
            )
        return finished

    def _check(self, path: Path, manifest: Mapping[str, object]) -> None:
        try:
            known = json.loads(path.read_bytes()[: 1 << 20])
        except (OSError, ValueError, RecursionError):
            known = None
        if not isinstance(known, dict):
            message = f"`{self.folder}` has results, but its `{MANIFEST}` cannot be read"
            raise error("E0831", message, status=2, help="name another folder")
        changed = [key for key in manifest if known.get(key) != json.loads(json.dumps(manifest[key]))]
        if changed:
            raise error(
                "E0831",
                f"`{self.folder}` has results of another run: {', '.join(changed)} changed",
                status=2,
                help="name another folder, or run with the same model, options and list",
            )

    def write(self, rows: Iterable[tuple[int, Row]], chunks: Mapping[int, range]) -> None:
        """Write the numbered rows of consecutive chunks. Raises as `write_table` does."""
        for number, numbered in groupby(rows, itemgetter(0)):
            own = map(itemgetter(1), numbered)
            write_table(own, self.path(number), self.format, self.columns, len(chunks[number]), force=True)


def model_digest(model: Path) -> str:
    """Return a hash of a model with its external data."""
    return digest(sha256(file).encode() for file in model_files(model))


def digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of byte strings, each with its length, in hexadecimal."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()
