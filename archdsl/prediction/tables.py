"""The rows of a prediction as JSON lines, CSV or Parquet: a format turns an iterable of rows into pieces of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from archdsl.diagnostics import json_visible
from archdsl.packages import require_package
from archdsl.prediction.result import Missed, ModelInfo, Prediction, Row, image_data, info_data, shown_name
from archdsl.report.table import csv_text

TableFormat: TypeAlias = Literal["jsonl", "csv", "parquet"]

_GROUP = 256
_GROUP_BYTES = 1 << 23
"""Rows, and bytes of their requested outputs, of a row group of Parquet, which are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that depend on the run: of the `top` classes in CSV, and of the requested `outputs` in Parquet.

    `outputs` are ONNX Runtime's types by name: `tensor(float)`.
    """

    top: int
    outputs: Mapping[str, str] = field(default_factory=dict)


def row_data(row: Row) -> dict[str, Any]:
    """Return a row as JSON data, with the same keys for every row."""
    name = row.image if row.frame is None else row.image.removesuffix(f"#{row.frame}")
    first: dict[str, Any] = {"image": shown_name(name), "frame": row.frame, "status": "ok", "code": None}
    if isinstance(row, Prediction):
        return {**first, "message": None, **row.data}
    empty: dict[str, Any] = {"measure": None, "top": [], "picture": None, "outputs": {}, "notes": []}
    if row.skipped:
        return {**first, "status": "skipped", "message": row.skipped, **empty}
    problem = row.problems[0]
    return {**first, "status": "error", "code": problem.code, "message": shown_name(problem.message), **empty}


def jsonl(rows: Iterable[Row], columns: Columns) -> Iterator[bytes]:
    """Yield one line of JSON per row."""
    for row in rows:
        yield json_visible(json.dumps(row_data(row), ensure_ascii=False) + "\n").encode()


def csv_table(rows: Iterable[Row], columns: Columns) -> Iterator[bytes]:
    """Yield a header and one line per row; `class_1`, `label_1` and `value_1` are the best class."""
    ranks = range(1, columns.top + 1)
    names = ["image", "frame", "status", "code", "message", "measure"]
    names += [f"{column}_{rank}" for rank in ranks for column in ("class", "label", "value")]
    yield _csv_line([*names, "picture", "outputs", "notes"])
    for row in rows:
        data = row_data(row)
        cells = [data[name] for name in names[:6]]
        for rank in ranks:
            best = data["top"][rank - 1] if rank <= len(data["top"]) else {}
            cells += [best.get("index"), best.get("label"), best.get("value")]
        outputs = json.dumps(data["outputs"], ensure_ascii=False) if data["outputs"] else None
        yield _csv_line([*cells, (data["picture"] or {}).get("path"), outputs, "; ".join(data["notes"])])


def _csv_line(cells: list[object]) -> bytes:
    line = io.StringIO()
    texts = (csv_text(cell) if isinstance(cell, str) else cell for cell in cells)
    csv.writer(line, lineterminator="\n").writerow(texts)
    return line.getvalue().encode()


def parquet(rows: Iterable[Row], columns: Columns) -> Iterator[bytes]:
    """Yield a Parquet file, a row group at a time; a requested output is a column of its values, and one of its shape.

    Raises E0807 for a missing pyarrow.
    """
    require_package("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, schema = _Sink(), _schema(pa, columns)
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(rows):
            data = [{**row_data(row), **_values(row, columns)} for row in group]
            for row in data:
                row["outputs"] = json.dumps(row["outputs"], ensure_ascii=False)
            writer.write_table(pa.Table.from_pylist(data, schema))
            yield sink.taken()
    yield sink.taken()


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows in lists of bounded length and memory."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(value.nbytes for value in row.values.values()) if isinstance(row, Prediction) else 0
        if len(group) == _GROUP or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _values(row: Row, columns: Columns) -> dict[str, object]:
    values = row.values if isinstance(row, Prediction) else {}
    cells: dict[str, object] = {}
    for name in columns.outputs:
        value = values.get(name)
        cells[f"output {name}"] = None if value is None else value.reshape(-1)
        cells[f"shape {name}"] = None if value is None else list(value.shape)
    return cells


def _schema(pa: Any, columns: Columns) -> Any:
    best = pa.struct([("index", pa.int32()), ("label", pa.string()), ("value", pa.float64())])
    fields = [(name, pa.string()) for name in ("image", "status", "code", "message", "measure", "outputs")]
    fields += [("frame", pa.int32()), ("top", pa.list_(best)), ("notes", pa.list_(pa.string()))]
    fields += [("picture", pa.struct([("path", pa.string()), ("pixels", pa.string())]))]
    for name, type_ in columns.outputs.items():
        kind = type_.removeprefix("tensor(").removesuffix(")")
        kind = {"float": "float32", "double": "float64"}.get(kind, kind)
        fields += [(f"output {name}", pa.list_(getattr(pa, kind)())), (f"shape {name}", pa.list_(pa.int64()))]
    return pa.schema(fields)


class _Sink(io.RawIOBase):
    """A file that only grows, from which what was written so far can be taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


TABLES: dict[TableFormat, Callable[[Iterable[Row], Columns], Iterator[bytes]]] = {
    "jsonl": jsonl,
    "csv": csv_table,
    "parquet": parquet,
}


def json_of(info: ModelInfo, rows: Iterable[Row]) -> Iterator[str]:
    """Yield one JSON document: what ran, then each prediction as it comes, then the images without one."""
    head = json.dumps(info_data(info), indent=2, ensure_ascii=False).removesuffix("\n}")
    yield json_visible(f'{head},\n  "images": [')
    missed: list[dict[str, Any]] = []
    separator = ""
    for row in rows:
        if isinstance(row, Missed):
            data = row_data(row)
            missed.append({key: data[key] for key in ("image", "frame", "status", "code", "message")})
            continue
        yield json_visible(f"{separator}\n    {json.dumps(image_data(row), ensure_ascii=False)}")
        separator = ","
    yield json_visible(f'\n  ],\n  "failures": {json.dumps(missed, indent=2, ensure_ascii=False)}\n}}\n')
