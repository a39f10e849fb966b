"""Write the maps of many images to a folder: an overlay as PNG and the arrays as NPZ."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import PngImagePlugin

from archdsl.attribution.explainer import Explainer, Target
from archdsl.attribution.result import Array, Attribution
from archdsl.diagnostics import ArchError
from archdsl.files.atomic import atomic_write, make_folder
from archdsl.files.overwrite_marks import has_mark
from archdsl.prediction.names import output_names
from archdsl.prediction.predictor import AnyArray
from archdsl.prediction.result import Missed, PictureFile, Prediction, Row
from archdsl.progress import watched
from archdsl.runtime.recipe import Recipe

_MARK = "made by archdsl"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of the arrays in an NPZ file: the same map gives the same bytes."""


@dataclass(slots=True)
class MapWriter:
    """Explains each sample of a prediction, and writes `NAME.METHOD.png` and `NAME.METHOD.npz` to `folder`,
    in subfolders if names repeat.

    `explainer` and `recipe` are set, and the names of all samples reserved, before the first sample. `inputs` are files
    that no map may replace. Threads may call it at the same time.
    """

    folder: Path
    target: Target
    force: bool
    inputs: tuple[str | Path, ...]
    explainer: Explainer | None = None
    recipe: Recipe | None = None
    names: dict[str, Path] = field(default_factory=dict)
    """The file of each sample without its ending."""

    def reserve(self, samples: Iterable[str]) -> None:
        """Set the names of all samples, also of those that another run, such as a shard, writes."""
        self.names = output_names(samples)

    def __call__(self, sample: Array, outputs: Mapping[str, AnyArray], row: Prediction) -> Row:
        """Return the prediction with the file of its overlay, or the error of this sample."""
        assert self.explainer is not None
        arrays = [np.asarray(value, np.float32) for value in outputs.values()]
        try:
            found = self.explainer.explain_sample(
                sample, arrays, row.image, self.recipe, self.target, watched(None, "")
            )
            path = self._write(found, row)
        except ArchError as problem:
            return Missed(row.image, problem.diagnostics, status=problem.status, frame=row.frame)
        known = self.explainer.notes
        notes = tuple(note for note in found.notes if note not in known)
        return replace(row, file=PictureFile(path, found.text().replace("\n", ": ")), notes=(*row.notes, *notes))

    def _write(self, found: Attribution, row: Prediction) -> Path:
        path = self.folder / f"{self.names[row.image]}.{found.method}.png"
        make_folder(path.parent)
        for target, data in ((path.with_suffix(".npz"), _arrays(found)), (path, _picture(found))):
            with atomic_write(target, inputs=self.inputs, force=self.force, replaceable=has_mark("picture")) as file:
                file.write(data)
        return path


def _arrays(found: Attribution) -> bytes:
    """The map and its grid as the bytes of an NPZ file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = _MARK.encode()
        for name in ("map", "grid"):
            array = io.BytesIO()
            np.save(array, getattr(found, name))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), array.getvalue())
    return data.getvalue()


def _picture(found: Attribution) -> bytes:
    info, data = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("Comment", _MARK)
    found.overlay().save(data, "PNG", pnginfo=info)
    return data.getvalue()
