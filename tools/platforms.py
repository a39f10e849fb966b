"""Checks that pip can install archdsl from wheels alone on every supported platform.

    python tools/platforms.py [--extra NAME]... [WHEEL]

Without WHEEL it builds one from this checkout. For each platform and Python version it lets pip resolve the wheel's
requirements with `--only-binary=:all:`; nothing is installed. Where that fails, it resolves each requirement alone and
lists those without a wheel. Exits with status 1 if there are any.

pip evaluates environment markers for the Python that runs it, not for the target. So a requirement with a marker
(`colorama`, which click needs on Windows) is not covered.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLIBC_MINORS = range(28, 4, -1)
"""pip does not know that glibc 2.28 runs wheels for an older glibc 2: each version is listed."""


def _linux(machine: str) -> tuple[str, ...]:
    return (*(f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS), f"manylinux2014_{machine}")


PLATFORMS: dict[str, tuple[str, ...]] = {
    "Linux x86-64, glibc 2.28": _linux("x86_64"),
    "Linux aarch64, glibc 2.28": _linux("aarch64"),
    "macOS 13 x86-64": ("macosx_13_0_x86_64",),
    "macOS 13 arm64": ("macosx_13_0_arm64",),
    "Windows x86-64": ("win_amd64",),
}
PYTHONS = ("3.11", "3.12", "3.13")


def build_wheel(folder: str) -> Path:
    """Build the wheel of this checkout in `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)]
    subprocess.run(command, check=True)
    return next(Path(folder).glob("archdsl-*.whl"))


def requirements(wheel: Path, extras: Sequence[str]) -> list[str]:
    """Return the requirements in the wheel's metadata, including those of `extras`."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    wanted = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if not marker or any(f"extra == '{extra}'" in marker or f'extra == "{extra}"' in marker for extra in extras):
            wanted.append(requirement.strip())
    return wanted


def resolve(wanted: Sequence[str], tags: Sequence[str], python: str, *options: str) -> tuple[list[str], str]:
    """Return `name version` of each wheel that pip selects for a platform, and pip's error if it finds none."""
    abi = "cp" + python.replace(".", "")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary=:all:", "--target", folder, "--report", str(report), "--python-version", python]
        command += ["--implementation", "cp", "--abi", abi, "--abi", "abi3", "--abi", "none"]
        command += [word for tag in tags for word in ("--platform", tag)]
        done = subprocess.run([*command, *options, *wanted], capture_output=True, text=True)
        if done.returncode:
            return [], done.stderr.strip()
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [f"{item['metadata']['name']} {item['metadata']['version']}" for item in items], ""


def problems(wanted: Sequence[str], tags: Sequence[str], python: str) -> Iterator[str]:
    """Yield each requirement without a wheel for a platform, or pip's own error if each has one alone."""
    _, error = resolve(wanted, tags, python)
    if not error:
        return
    missing = [one for one in wanted if resolve([one], tags, python, "--no-deps")[1]]
    yield from missing or error.splitlines()[-1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", nargs="?", type=Path, help="a built wheel; by default one is built")
    parser.add_argument("--extra", action="append", default=[], help="include the requirements of an extra")
    parser.add_argument("--python", action="append", help="a Python version; by default " + ", ".join(PYTHONS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = requirements(arguments.wheel or build_wheel(folder), arguments.extra)
    print(f"requirements: {', '.join(wanted)}")
    failed = 0
    for platform, tags in PLATFORMS.items():
        for python in arguments.python or PYTHONS:
            missing = list(problems(wanted, tags, python))
            failed += bool(missing)
            print(
                f"{platform:26} Python {python:5} {'no wheel: ' + ', '.join(missing) if missing else 'ok'}", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
