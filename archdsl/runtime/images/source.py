"""A sample of a network's input: one file, one frame of a file, or the files of a volume."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """One sample. `name` is what a result calls it: the path, `path#frame`, or for a series of slices its folder.

    `paths` are its files, of a volume one per slice in any order. `frame` counts the frames of a file from 1, as DICOM
    does; None for the only one.
    """

    name: str
    paths: tuple[Path, ...]
    frame: int | None = None

    @property
    def path(self) -> Path:
        """The first file."""
        return self.paths[0]

    @property
    def short(self) -> str:
        """The last part of the name, for messages; at most 120 characters."""
        return (Path(self.name).name or self.name)[-120:]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no sample, and why."""

    path: Path
    reason: str


def as_source(value: str | os.PathLike[str] | Source) -> Source:
    """Return a path as a sample."""
    return value if isinstance(value, Source) else Source(os.fspath(value), (Path(value),))
