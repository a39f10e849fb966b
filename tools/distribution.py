"""Builds the sdist, and the wheel from it, and compares what they contain with the files under version control.

    python tools/distribution.py [FOLDER]

FOLDER is by default `dist`; it must not contain a distribution. Needs `build` and `twine`. Exits with status 1 if a
file is missing or extra, if the description has a link that works only in a checkout, or if `twine check` fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METADATA = (
    "METADATA",
    "RECORD",
    "WHEEL",
    "entry_points.txt",
    "licenses/LICENSE",
    "licenses/archdsl/drawing/fonts/OFL.txt",
)
_LINK = re.compile(r"\]\((?!https://|#)([^)]+)\)|(?:src|href)=\"(?!https://)([^\"]+)\"")


def tracked() -> set[str]:
    """Return the paths of the files under version control, from the root of the checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return {path for path in done.stdout.split("\0") if (ROOT / path).is_file()}


def expected(paths: set[str]) -> tuple[set[str], set[str]]:
    """Return the files of the wheel, without those about it, and of the sdist, without its top folder."""
    package = {path for path in paths if path.startswith("archdsl/")}
    return package | {f"archdsl/{path}" for path in paths if path.startswith("specs/")}, paths | {"PKG-INFO"}


def differences(what: str, names: set[str], wanted: set[str]) -> Iterator[str]:
    yield from (f"{what} lacks {name}" for name in sorted(wanted - names))
    yield from (f"{what} has {name}" for name in sorted(names - wanted))


def wheel_problems(wheel: Path, wanted: set[str]) -> Iterator[str]:
    """Yield the differences between a wheel and the files that it should contain."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        about = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        text = message_from_bytes(archive.read(f"{about}/METADATA")).get_payload()
    yield from differences("the wheel", names, wanted | {f"{about}/{name}" for name in METADATA})
    yield from (f"the description links to {a or b}, a file of the checkout" for a, b in _LINK.findall(str(text)))


def sdist_problems(sdist: Path, wanted: set[str]) -> Iterator[str]:
    """Yield the differences between an sdist and the files that it should contain."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    yield from differences("the sdist", names, wanted)


def main() -> int:
    folder = Path(sys.argv[1] if sys.argv[1:] else "dist")
    if any(folder.glob("archdsl-*")):
        print(f"{folder} contains a distribution already; remove it or name another folder", file=sys.stderr)
        return 2
    python = [sys.executable, "-m"]
    subprocess.run([*python, "build", "--quiet", "--outdir", str(folder.resolve()), str(ROOT)], check=True)
    wheel, sdist = next(folder.glob("archdsl-*.whl")), next(folder.glob("archdsl-*.tar.gz"))
    in_wheel, in_sdist = expected(tracked())
    problems = [*wheel_problems(wheel, in_wheel), *sdist_problems(sdist, in_sdist)]
    print(*problems, sep="\n", end="\n" * bool(problems))
    for path in (sdist, wheel):
        print(f"{path.name}  {path.stat().st_size / 1e6:.1f} MB")
    checked = subprocess.run([*python, "twine", "check", "--strict", str(wheel), str(sdist)])
    return 1 if problems else checked.returncode


if __name__ == "__main__":
    sys.exit(main())
