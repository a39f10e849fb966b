"""Turn the files of a folder into samples, and say of each other file why it is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from archdsl.files.atomic import NotRegular
from archdsl.runtime.images.dicom import Header, frames, scanned
from archdsl.runtime.images.pixels import Wanted
from archdsl.runtime.images.readers import DICOM, FORMATS, named, recognised
from archdsl.runtime.images.slices import series
from archdsl.runtime.images.source import Skipped, Source, as_source

_NAMES = {
    ".ds_store": "a folder's settings (macOS)",
    "thumbs.db": "thumbnails (Windows)",
    "ehthumbs.db": "thumbnails (Windows)",
    "desktop.ini": "a folder's settings (Windows)",
    "dicomdir": "an index of DICOM files",
}
_SUFFIXES = {
    "a video": ".mp4 .avi .mov .mkv .wmv .webm .mpg .mpeg .m4v .flv",
    "a text": ".txt .md .csv .tsv .json .yaml .yml .xml .html .htm .log .ini .rtf",
    "a document": ".pdf .doc .docx .xls .xlsx .ppt .pptx .odt .ods",
    "an archive": ".zip .tar .tgz .7z .rar",
    "a program": ".exe .dll .bat .sh .py .js .inf .jar",
}
_KINDS = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def scan(paths: Iterable[Path], axes: int) -> Iterator[Source | Skipped]:
    """Turn existing files into the samples of a network whose input has `axes` spatial axes.

    A file is one sample, and is not opened where its name says so. A DICOM file of several frames is one sample per
    frame; for 3 axes, DICOM files are grouped by series, and a series is one sample, which follows after all other
    files.
    """
    slices: list[tuple[Source, str]] = []
    for path in paths:
        if reason := _reason(path):
            yield Skipped(path, reason)
            continue
        source, row = as_source(path), named(path)
        if row is None or row is DICOM:
            try:
                row = recognised(path) or row
            except (OSError, ValueError, NotRegular):  # `read` says why
                row = FORMATS[-1]
        if row is None:
            yield Skipped(path, "not an image" if path.stat().st_size else "it is empty")
        elif row is not DICOM:
            yield source
        elif not Wanted(axes).volume:
            yield from frames(source)
        elif isinstance(found := scanned(source), Header):
            slices.append((source, found.series))
        else:
            yield found
    yield from series(slices)


def _reason(path: Path) -> str:
    """Why a name is not that of an image; empty if it may be one."""
    name = path.name.lower()
    if name.startswith("._"):
        return "a file's attributes (macOS)"
    return _NAMES.get(name) or _KINDS.get(path.suffix.lower(), "")
