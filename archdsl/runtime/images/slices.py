"""DICOM slices as a volume: ordered by their positions along their normal, and checked to be equally far apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from archdsl.diagnostics import error
from archdsl.runtime.images import dicom
from archdsl.runtime.images.opened import opened
from archdsl.runtime.images.pixels import MAX_VOXELS, Array, Pixels, Unusable
from archdsl.runtime.images.source import Source

_TOLERANCE = 0.05
"""Of the distance between slices: positions are stored as decimal text, which scanners round."""
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts millimetres to the left and to the back of the patient, NIfTI to the right and to the front."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The place of one frame of a file, in millimetres; `spacing` is that between rows and between columns."""

    header: dicom.Header
    frame: int
    position: Array
    rows: Array
    """The direction in which the row number increases."""
    columns: Array
    spacing: Array

    @property
    def path(self) -> Path:
        return self.header.path


def series(found: Sequence[tuple[Source, str]]) -> Iterator[Source]:
    """Group files by their SeriesInstanceUID. A series is named after its folder, or its first file if the folder has
    several: the identifier could name a patient."""
    groups: dict[str, list[Path]] = {}
    for source, uid in found:
        groups.setdefault(uid or source.name, []).append(source.path)
    folders = [{path.parent for path in paths} for paths in groups.values()]
    for paths, own in zip(groups.values(), folders, strict=True):
        alone = len(own) == 1 and len(paths) > 1 and sum(bool(own & other) for other in folders) == 1
        yield Source(str(paths[0].parent if alone else min(paths)), tuple(paths))


def read_volume(source: Source) -> Pixels:
    """Return the slices of a sample as `(slices, rows, columns)` with measured values, such as HU.

    MONOCHROME1 does not change them, so that a series and its conversion to NIfTI have the same values.
    Raises E0804 for a file that cannot be read, E0812 if the slices are no volume.
    """
    slices = [one for path in source.paths for one in _slices(source, path)]
    ordered, step = _ordered(source, slices)
    first = ordered[0]
    rows, columns = first.header.size
    if len(ordered) * rows * columns > MAX_VOXELS:
        _refuse(source, f"it has more than {MAX_VOXELS // 10**6} million voxels", "make it smaller")
    values = np.empty((len(ordered), rows, columns), np.float32)
    for number, one in enumerate(ordered):
        with opened(source, one.path) as file:
            stored = dicom.decode(file, one.header, one.frame)
            values[number] = dicom.measured(stored, one.header, one.frame)[0]
    affine = np.eye(4)
    affine[:3] = np.stack([step, first.rows * first.spacing[0], first.columns * first.spacing[1], first.position], 1)
    notes = ["it is MONOCHROME1, which is for viewers: the values of a volume are not inverted"] * first.header.inverted
    return Pixels(values, affine=_TO_RAS @ affine, notes=notes)


def _slices(source: Source, path: Path) -> Iterator[Slice]:
    with opened(source, path) as file:
        header = dicom.header(file, path)
        if reason := dicom.no_image(header):
            raise Unusable(f"`{path.name[-120:]}` is {reason}")
        if header.colours:
            _refuse(source, f"`{path.name[-120:]}` has colours", "a volume has one measured value per voxel")
        for frame in range(1, header.frames + 1):
            position = header.element("ImagePositionPatient", frame)
            orientation = header.element("ImageOrientationPatient", frame)
            spacing = header.element("PixelSpacing", frame)
            if position is None or orientation is None or spacing is None:
                _refuse(source, f"`{path.name[-120:]}` does not say where its slices are in the patient")
            at, axes, between = (np.array(values, np.float64) for values in (position, orientation, spacing))
            if at.size != 3 or axes.size != 6 or between.size != 2 or not (between > 0).all():
                raise Unusable(f"the position of `{path.name[-120:]}` is not valid")
            _ = header.size  # raises for a wrong one, where it is an error of the file
            yield Slice(header, frame, at, axes[3:], axes[:3], between)


def _ordered(source: Source, slices: list[Slice]) -> tuple[list[Slice], Array]:
    """The slices in order, and the step from one to the next. Raises E0812 unless they are equally far apart."""
    first = slices[0]
    normal = np.cross(first.columns, first.rows)
    for one in slices:
        if one.header.size != first.header.size:
            _refuse(source, f"{_names(first, one)} have different numbers of rows and columns", _SPLIT)
        same = np.allclose([*one.rows, *one.columns], [*first.rows, *first.columns], atol=1e-3)
        if not same or not np.allclose(one.spacing, first.spacing, rtol=1e-3):
            _refuse(source, f"{_names(first, one)} have different directions or spacings", _SPLIT)
        if one.header.inverted != first.header.inverted:
            _refuse(source, f"only one of {_names(first, one)} is MONOCHROME1", _SPLIT)
    if len(slices) == 1 and not first.header.series:
        _refuse(source, "it has no SeriesInstanceUID, which says which slices belong together", _IDENTIFY)
    if len(slices) == 1:
        _refuse(source, "it has only one slice", "a volume has two or more")
    ordered = sorted(slices, key=lambda one: float(one.position @ normal))
    places = np.array([one.position for one in ordered])
    steps = np.diff(places @ normal)
    usual = float(np.median(steps))
    for before, after, step in zip(ordered, ordered[1:], steps, strict=False):
        if step <= _TOLERANCE * usual or step < 1e-6:
            if before.path.parent != after.path.parent:
                doubled = "have the same SeriesInstanceUID and are at the same place"
                _refuse(source, f"{_names(before, after)} {doubled}", "pass one folder at a time")
            _refuse(source, f"{_names(before, after)} are at the same place", _SPLIT)
        if abs(step - usual) > _TOLERANCE * usual:
            gap = f"{_names(before, after)} are {step:g} mm apart, the other slices {usual:g} mm"
            _refuse(source, gap, "add the slices that are missing")
    whole = (places[-1] - places[0]) / (len(places) - 1)
    if np.linalg.norm(whole - (whole @ normal) * normal) > _TOLERANCE * usual:
        _refuse(source, "its slices are shifted against each other (a tilted gantry)", "resample them first")
    return ordered, whole


_SPLIT = "a series must be one scan: put its parts into a folder each, without the other files"
_IDENTIFY = "write the same SeriesInstanceUID into all files of the series, e.g. with dcmodify"


def _names(one: Slice, other: Slice) -> str:
    parts = -1 if one.path.parent == other.path.parent else -2  # with the folder, where it differs
    shown = [f"`{'/'.join(each.path.parts[parts:])[-60:]}`" for each in (one, other)]
    if one.path == other.path:
        return f"the frames {one.frame} and {other.frame} of {shown[0]}"
    return " and ".join(shown)


def _refuse(source: Source, why: str, help: str = "") -> NoReturn:
    raise error("E0812", f"`{source.short}` is not a volume: {why}", help=help)
