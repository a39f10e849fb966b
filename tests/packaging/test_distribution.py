"""`tools/distribution.py` reports what a distribution lacks and what does not belong there."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from tools import distribution

ABOUT = {f"archdsl-1.dist-info/{name}" for name in distribution.METADATA}
TRACKED = {"archdsl/graph.py", "archdsl/py.typed", "specs/a.yaml", "tests/test_a.py", "README.md"}
IN_WHEEL, IN_SDIST = distribution.expected(TRACKED)


def wheel(folder: Path, names: set[str], description: str = "") -> Path:
    path = folder / "archdsl-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(names):
            text = f"Metadata-Version: 2.4\nName: archdsl\n\n{description}" if name.endswith("METADATA") else ""
            archive.writestr(name, text)
    return path


def sdist(folder: Path, names: set[str]) -> Path:
    path = folder / "archdsl-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in sorted(names):
            archive.addfile(tarfile.TarInfo(f"archdsl-1/{name}"), io.BytesIO())
    return path


def test_what_belongs_where() -> None:
    assert {"archdsl/graph.py", "archdsl/py.typed", "archdsl/specs/a.yaml"} == IN_WHEEL
    assert TRACKED | {"PKG-INFO"} == IN_SDIST


def test_a_complete_distribution_has_no_problem(tmp_path: Path) -> None:
    text = "[docs](https://example.org/docs) [above](#top)"
    assert list(distribution.wheel_problems(wheel(tmp_path, IN_WHEEL | ABOUT, text), IN_WHEEL)) == []
    assert list(distribution.sdist_problems(sdist(tmp_path, IN_SDIST), IN_SDIST)) == []


def test_missing_and_stray_files_are_reported(tmp_path: Path) -> None:
    names = (IN_WHEEL | ABOUT | {"tests/test_a.py", "archdsl/notes.txt"}) - {"archdsl/py.typed"}
    assert list(distribution.wheel_problems(wheel(tmp_path, names), IN_WHEEL)) == [
        "the wheel lacks archdsl/py.typed",
        "the wheel has archdsl/notes.txt",
        "the wheel has tests/test_a.py",
    ]
    names = (IN_SDIST | {".coverage"}) - {"tests/test_a.py"}
    assert list(distribution.sdist_problems(sdist(tmp_path, names), IN_SDIST)) == [
        "the sdist lacks tests/test_a.py",
        "the sdist has .coverage",
    ]


def test_links_into_the_checkout_are_reported(tmp_path: Path) -> None:
    text = '[docs](docs/gpu.md) <img src="docs/a.svg">'
    assert list(distribution.wheel_problems(wheel(tmp_path, IN_WHEEL | ABOUT, text), IN_WHEEL)) == [
        "the description links to docs/gpu.md, a file of the checkout",
        "the description links to docs/a.svg, a file of the checkout",
    ]
