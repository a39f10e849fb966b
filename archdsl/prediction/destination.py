"""Where the rows and the pictures of `archdsl predict` go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.diagnostics.arguments import conflict
from archdsl.prediction.parts import SUFFIXES
from archdsl.prediction.tables import TABLES, TableFormat


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
) -> Destination:
    """Decide by the format, or else by the suffix of `output`; with `parts` (a shard) it is a folder of JSON lines.

    `output` is the table, but for `text` and `json` the place of pictures; a folder for `maps` need not exist. Raises
    E0001 or E0003 for arguments that do not fit each other.
    """
    named = SUFFIXES.get(Path(output).suffix.lower()) if output and not os.path.isdir(output) else None
    format = format or named or ("jsonl" if resume or parts else "text")
    if format in ("text", "json"):
        if resume or outputs:
            name = "resume" if resume else "outputs"
            raise conflict(f"`{name}` needs a table: the format jsonl, csv or parquet", help="add `--format jsonl`")
        if output and not Path(output).suffix and not os.path.isdir(output) and not maps:
            help = "create it first; for a folder of tables add `--format jsonl`"
            raise conflict(f"there is no folder `{output}` for the images", help)
        return Destination(format, None, pictures if output is None else output, ".")
    if named not in (None, format):
        raise conflict(f"`{output}` is a file of the format {named}, not {format}", help="leave out `--format`")
    if output is None or output == "-":
        for name, needs in (("resume", resume), ("outputs", bool(outputs)), ("parquet", format == "parquet")):
            if needs:
                raise conflict(f"`{name}` needs a file or a folder", help="name one with `-o`")
        return Destination(format, None, pictures)
    return Destination(format, output, pictures)
