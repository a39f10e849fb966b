"""Checks that archdsl and its extras can be installed from wheels alone on every supported platform.

    python tools/platforms.py [--extra NAME | --every-extra] [WHEEL]

Without WHEEL it builds one from this checkout. For each platform and Python version, uv resolves the requirements from
wheels alone; nothing is installed. Where that fails, it resolves each requirement by itself and lists those without a
wheel. Exits with status 1 if there are any that `WITHOUT` does not list. Needs `uv` and `build`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = {
    "Linux x86-64, glibc 2.28": "x86_64-manylinux_2_28",
    "Linux aarch64, glibc 2.28": "aarch64-manylinux_2_28",
    "macOS 13 x86-64": "x86_64-apple-darwin",
    "macOS 13 arm64": "aarch64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
}
"""The names that uv has for the platforms."""
PYTHONS = ("3.11", "3.12", "3.13")
WITHOUT = {
    "gpu": ("Linux aarch64, glibc 2.28", "macOS 13 x86-64", "macOS 13 arm64"),
    **dict.fromkeys(("torch", "torchvision", "timm"), ("macOS 13 x86-64",)),
    "pdf": ("Linux x86-64, glibc 2.28", "Linux aarch64, glibc 2.28", "macOS 13 x86-64"),
    "test": tuple(PLATFORMS),
}
"""Where extras have no wheels, as docs/install.md says: PyTorch 2.2 was the last for Macs with an Intel processor,
svg2pdf-py needs glibc 2.35 on Linux, and grad-cam is published as source, which pip builds."""


def build_wheel(folder: str) -> Path:
    """Build the wheel of this checkout in `folder`."""
    command = [sys.executable, "-m", "build", "--quiet", "--wheel", "--outdir", folder, str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("archdsl-*.whl"))


def metadata(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def requirements(about: Message, extra: str) -> list[str]:
    """Return the requirements of an extra, or those without any if `extra` is empty."""
    lines = [line.partition(";") for line in about.get_all("Requires-Dist") or []]
    wanted = [(name.strip(), re.search(r"extra == ['\"](.+?)['\"]", marker)) for name, _, marker in lines]
    return [name for name, of in wanted if (of[1] if of else "") == extra]


def resolve(requirement: str, platform: str, python: str, *options: str) -> bool:
    """Whether uv finds wheels for a requirement and for all that it requires."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--only-binary", ":all:"]
    command += ["--python-platform", platform, "--python-version", python, *options, "-"]
    done = subprocess.run(command, input=requirement, capture_output=True, text=True)
    return done.returncode == 0


def problems(wheel: Path, extra: str, platform: str, python: str) -> Iterator[str]:
    """Yield each requirement without a wheel for a platform."""
    if resolve(f"archdsl[{extra}] @ {wheel.resolve().as_uri()}", platform, python):
        return
    wanted = [name for name in requirements(metadata(wheel), extra) if not name.startswith("archdsl[")]
    yield from [name for name in wanted if not resolve(name, platform, python)] or ["no versions that fit together"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", nargs="?", type=Path, help="a built wheel; by default one is built")
    parser.add_argument(
        "--extra", action="append", help="an extra to check; by default the requirements without extras"
    )
    parser.add_argument("--every-extra", action="store_true", help="check each extra")
    parser.add_argument("--python", action="append", help="a Python version; by default " + ", ".join(PYTHONS))
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel or build_wheel(folder)
        extras = arguments.extra or [""]
        if arguments.every_extra:
            extras = ["", *(metadata(wheel).get_all("Provides-Extra") or [])]
        for extra in extras:
            for name, platform in PLATFORMS.items():
                for python in arguments.python or PYTHONS:
                    missing = list(problems(wheel, extra, platform, python))
                    known = name in WITHOUT.get(extra, ())
                    failed += bool(missing) and not known
                    answer = f"no wheel{' (known)' * known}: {', '.join(missing)}" if missing else "ok"
                    print(f"{extra or '(no extra)':12} {name:26} Python {python:5} {answer}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
