"""Where the rows and the pictures of `archdsl predict` go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.diagnostics.arguments import conflict
from archdsl.files.endings import check_ending
from archdsl.prediction.parts import SUFFIXES, table_format
from archdsl.prediction.picture import FORMATS
from archdsl.prediction.tables import TABLES, TableFormat

_FOLDER = "name a folder with `-o`, and add `--format jsonl`"


@dataclass(frozen=True, slots=True)
class Destination:
    """The `format` of the rows, the `table` to write (None: standard output), and the `output` for pictures.

    Without `output`, `folder` is where a network that outputs pictures writes them.
    """

    format: str
    table: str | None
    output: str | None
    folder: str | None = None

    @property
    def table_format(self) -> TableFormat | None:
        """The format of a table; None for `text` and `json`."""
        return next((known for known in TABLES if known == self.format), None)


def destination(
    format: str | None,
    output: str | None,
    pictures: str | None,
    resume: bool,
    outputs: Sequence[str],
    parts: bool = False,
    maps: bool = False,
    chunk: int | None = None,
) -> Destination:
    """Decide by the format, or else by the suffix of `output`; with `parts` (a shard) it is a folder of JSON lines.

    `output` is the table, but for `text` and `json` the place of pictures, and with `maps` their folder. Raises E0001
    for an unknown suffix, E0003 for arguments that do not fit each other, such as a `chunk` without `parts` or a folder
    of tables.
    """
    suffix = Path(output).suffix.lower() if output and not os.path.isdir(output) else ""
    named = SUFFIXES.get(suffix)
    format = format or named or ("jsonl" if resume or parts else "text")
    if chunk is not None and not parts and (format in ("text", "json") or output is None or output == "-" or named):
        raise conflict("`chunk` is the size of the part files in a folder of tables", help=_FOLDER)
    if format in ("text", "json"):
        if resume or outputs:
            name = "resume" if resume else "outputs"
            raise conflict(f"`{name}` needs a table: the format jsonl, csv or parquet", help="add `--format jsonl`")
        if suffix and not maps:
            check_ending(output, (*FORMATS, *SUFFIXES))
        if output == "-":
            raise conflict("`output` is the file or the folder of the images", help="for a table add `--format jsonl`")
        return Destination(format, None, pictures if output is None else output, ".")
    if output is not None:
        table_format(output, format)
    if output is None or output == "-":
        for name, needs in (("resume", resume), ("outputs", bool(outputs)), ("parquet", format == "parquet")):
            if needs:
                raise conflict(f"`{name}` needs a file or a folder", help="name one with `-o`")
        return Destination(format, None, pictures)
    return Destination(format, output, pictures)
