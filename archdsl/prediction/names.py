"""Names for the files that are written of many samples: pictures and maps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path

_SUFFIX = re.compile(r"(\.nii)?\.[A-Za-z]\w{0,9}$")
"""What a name leaves out: `.png`, `.nii.gz`, but not the end of `1.2.840`, the folder of a series."""


def split_frame(sample: str) -> tuple[str, str]:
    """Return the file of a sample, and for the frame `NAME#3` the ending `-3` of what is written for it."""
    name, mark, number = sample.rpartition("#")
    return (name, f"-{number}") if mark and number.isdecimal() else (sample, "")


def output_names(samples: Iterable[str]) -> dict[str, Path]:
    """Return a path for each sample, without an ending, below the folder that its files go to. No two are equal.

    If files of two folders have the same name, all paths have the subfolders below the folder that all files have in
    common: `nodule/img 016`. If two files of a folder differ in the suffix only, the second keeps it: `a`, `a.jpg`.
    Case does not distinguish names.
    """
    places = {sample: Path(os.path.abspath(split_frame(sample)[0])) for sample in samples}
    stems = {sample: _SUFFIX.sub("", path.name) or path.name for sample, path in places.items()}
    base = _common(places, stems)
    names: dict[str, Path] = {}
    taken: set[str] = set()
    for sample, path in places.items():
        folder = path.parent.relative_to(base) if base else Path()
        stem, frame = stems[sample], split_frame(sample)[1]
        words = chain((stem + frame, path.name + frame), (f"{stem}{frame} ({number})" for number in count(2)))
        name = next(folder / word for word in words if str(folder / word).casefold() not in taken)
        names[sample] = name
        taken.add(str(name).casefold())
    return names


def _common(places: Mapping[str, Path], stems: Mapping[str, str]) -> str:
    """The folder that all files have in common; empty if their names are enough to distinguish those of all folders."""
    owners: dict[str, Path] = {}
    if all(owners.setdefault(stems[name].casefold(), path.parent) == path.parent for name, path in places.items()):
        return ""
    try:
        return os.path.commonpath([path.parent for path in places.values()])
    except ValueError:  # several drives of Windows
        return ""
