"""`archdsl.weights.convert`: write the tensors of a file of any layout as safetensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from archdsl.backends.weights import Weights, load, save
from archdsl.backends.weights.layout import Reading, locate, report
from archdsl.backends.weights.read import note
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_flags, check_names, check_type
from archdsl.files.atomic import WrittenFile
from archdsl.packages import require_package


class Converted(NamedTuple):
    """The written file, and notes on how the tensors were read."""

    file: WrittenFile
    tensors: int
    notes: tuple[Diagnostic, ...]


def convert(
    file: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    part: str | None = None,
    rename: Sequence[str] = (),
    ignore: Sequence[str] = (),
    force: bool = False,
) -> Converted:
    """Write the tensors of a weights file as safetensors, without the prefix that all names share.

    Without `part`, they are those of the mapping with most tensors, and not the averaged ones, nor a second set of the
    same names and shapes below them. `rename` and `ignore` as for `Network.weights`. Floats become float32.

    Raises E0601 to E0608 for the file, E07xx for the output.
    """
    check_type("file", file, "a path", str, os.PathLike)
    check_type("output", output, "a path", str, os.PathLike)
    check_type("part", part, "a name", str, type(None))
    check_names("rename", rename)
    check_names("ignore", ignore)
    check_flags(force=force)
    require_package("numpy")
    weights = load(file)
    located = locate(weights, {}, Reading(part, rename, ignore))
    for full, problem in weights.problems.items():
        if full.startswith(located.prefix):
            raise problem
    notes = list(weights.notes)
    report(located, lambda message: notes.append(note(message)))
    entries = {name: weights.entries[full] for name, full in located.names.items()}
    written = save(Weights(entries, lambda: weights.source), output, inputs=[file], force=force)
    return Converted(written, len(entries), tuple(notes))
