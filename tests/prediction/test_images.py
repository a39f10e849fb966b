"""From the files of a folder to samples: `archdsl.runtime.images`, its modules `runtime/images/scan.py`,
`runtime/images/source.py`, `runtime/images/pixels.py`, `runtime/images/readers.py`, `runtime/images/raster.py`,
`runtime/images/opened.py`, `runtime/images/quiet.py`, `runtime/images/array.py`, `runtime/images/codestream.py` and
`runtime/images/dicom.py`.
"""

from __future__ import annotations

from pathlib import Path

from archdsl.runtime.images import Skipped, Source, as_source, scan


def test_a_file_is_a_sample_and_other_files_have_a_reason() -> None:
    names = ["a.png", ".DS_Store", "Thumbs.db", "film.MP4", "report.pdf", "._a.png"]
    samples = list(scan((Path("folder", name) for name in names), 2))
    assert samples[0] == as_source(Path("folder/a.png")) == Source("folder/a.png", (Path("folder/a.png"),))
    reasons = {s.path.name: s.reason for s in samples[1:] if isinstance(s, Skipped)}
    assert list(reasons) == names[1:]
    assert reasons["film.MP4"] == "a video"
