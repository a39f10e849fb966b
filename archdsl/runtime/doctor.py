"""`archdsl doctor`: report what is installed, what works, and how to install what is missing."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archdsl.diagnostics.arguments import check_choice
from archdsl.packages import EXTRAS, USES, install_command
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.version import __version__

FORMATS = ("text", "json")
PROBE_LIMIT_S = 60.0
"""This long because TensorRT builds an engine before it runs a model."""
_DISTRIBUTIONS = {"pptx": "python-pptx"}
"""The distribution of a package, if it has another name."""
_ADVISED = ("torch", "onnxruntime")
"""Optional packages that most readers need; the table names the extras of the others."""
_DRIVER = """
import ctypes, sys
driver, version = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"), ctypes.c_int()
print(version.value if driver.cuDriverGetVersion(ctypes.byref(version)) == 0 else None)
"""
"""Prints 12040 for a driver that supports CUDA 12.4 (CUDA Driver API, cuDriverGetVersion)."""
_RUNTIMES = re.compile(r"(onnxruntime|ort)[-_.].*|onnxruntime", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """A required package, or an optional one and what it is `used_for`; `version` is None if it is not installed."""

    name: str
    version: str | None
    required: bool
    used_for: str
    install: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of ONNX Runtime, and whether it ran a tiny model correctly."""

    name: str
    works: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Engine:
    """A Graphviz program, and whether it drew a graph."""

    path: str
    works: bool
    detail: str


@dataclass(frozen=True, slots=True, repr=False)
class Installation(ShownAsText):
    """The result of `examine`: packages, providers and engines with their state, and `advice` for each problem."""

    archdsl: str
    python: str
    executable: str
    platform: str
    library: str
    packages: tuple[Package, ...]
    runtimes: tuple[str, ...]
    """Installed packages of ONNX Runtime, with versions; several overwrite each other's files."""
    cuda: Mapping[str, str]
    """The version of CUDA that `torch` and `onnxruntime` were built for, and the newest that the `driver` supports."""
    providers: tuple[Provider, ...]
    engines: tuple[Engine, ...]
    advice: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the data of `archdsl doctor --format json`."""
        return asdict(self)

    def text(self, format: str = "text", style: Style = Style()) -> str:
        """Return the report as `text` or `json`; `style` applies to text. Raises E0001 for another format."""
        check_choice("format", format, FORMATS)
        return json.dumps(self.to_json(), indent=2) + "\n" if format == "json" else _as_text(self, style)


def examine() -> Installation:
    """Examine the installation. Whatever could crash the process runs in a subprocess."""
    packages = tuple(_packages())
    runtimes = tuple(_runtimes())
    providers = tuple(_providers()) if runtimes else ()
    engines, cuda = tuple(_engines()), cuda_versions()
    advice = tuple(_advice(packages, runtimes, providers, engines, cuda))
    return Installation(
        archdsl=__version__,
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        library=_library(),
        packages=packages,
        runtimes=runtimes,
        cuda=cuda,
        providers=providers,
        engines=engines,
        advice=advice,
    )


def _library() -> str:
    from archdsl.spec.find import library_files, library_folder

    return f"{len(library_files())} specs in {library_folder()}"


# --- packages --------------------------------------------------------------------------------------------


def _packages() -> Iterator[Package]:
    for name in _required():
        yield Package(name, _version(name), True, "archdsl itself", install_command())
    for module, extra in EXTRAS.items():
        name = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
        version = _version(name) if name != "onnxruntime" else next(iter(_runtimes()), None)
        yield Package(name, version, False, USES[extra], install_command(extra))


def _required() -> list[str]:
    """The packages that the installed archdsl requires, without extras."""
    try:
        declared = metadata.requires("archdsl") or []
    except metadata.PackageNotFoundError:
        declared = ["pydantic", "pyyaml", "numpy", "onnx", "graphviz", "click", "pillow"]
    plain = (line for line in declared if "extra ==" not in line.partition(";")[2])
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in plain)
    return [name[0] for name in names if name]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _runtimes() -> Iterator[str]:
    versions = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if _RUNTIMES.fullmatch(name) and "extensions" not in name:
            versions[name.lower().replace("_", "-")] = distribution.version
    yield from (f"{name} {version}" for name, version in sorted(versions.items()))


# --- what works ------------------------------------------------------------------------------------------


def _providers() -> Iterator[Provider]:
    names, problem = _available()
    if problem:
        yield Provider("onnxruntime", False, problem)
    yield from map(probe_provider, names)


def probe_provider(provider: str, number: int = 0) -> Provider:
    """Run a tiny model on a provider of ONNX Runtime, in a subprocess; `number` is that of the GPU."""
    result, problem = _child(["-m", "archdsl.runtime.probe", provider, str(number)])
    if isinstance(result, dict):
        return Provider(provider, bool(result.get("works")), str(result.get("detail", "")))
    return Provider(provider, False, problem)


def _available() -> tuple[list[str], str]:
    result, problem = _child(["-c", "import json, onnxruntime as o; print(json.dumps(o.get_available_providers()))"])
    names = [str(name) for name in result] if isinstance(result, list) else []
    # Azure's provider calls a web service and runs no local model.
    return [name for name in names if name != "AzureExecutionProvider"], "" if names else problem


def _child(arguments: list[str]) -> tuple[Any, str]:
    """The JSON in the last line that a Python subprocess prints, or the reason why there is none."""
    try:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=PROBE_LIMIT_S)
        lines = done.stdout.strip().splitlines()
        if done.returncode == 0 and lines:
            return json.loads(lines[-1]), ""
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PROBE_LIMIT_S:.0f} s"
    except (OSError, ValueError) as problem:
        return None, str(problem)[:300]
    messages = done.stderr.strip().splitlines()
    return None, (messages[-1] if messages else f"exited with status {done.returncode}")[:300]


def cuda_versions() -> dict[str, str]:
    """Return the versions of CUDA of torch, ONNX Runtime and the driver, as far as they have one. Imports neither."""
    files = {
        "torch": ("torch", "version.py", r"^cuda[^=]*= '([0-9.]+)'"),
        "onnxruntime": ("onnxruntime", "capi/build_and_package_info.py", r"^cuda_version = '([0-9.]+)'"),
    }
    versions = {}
    for name, (package, file, pattern) in files.items():
        spec = find_spec(package)
        path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
        text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
        if match := re.search(pattern, text, re.MULTILINE):
            versions[name] = match[1]
    number, _ = _child(["-c", _DRIVER])
    return versions | ({"driver": f"{number // 1000}.{number % 1000 // 10}"} if isinstance(number, int) else {})


def _engines() -> Iterator[Engine]:
    from archdsl.drawing.graph import engine

    for path in engine.engines():
        yield _test_engine(path)


def _test_engine(path: Path) -> Engine:
    try:
        done = subprocess.run([str(path), "-Tsvg"], input=b"digraph { a -> b }", capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Engine(str(path), False, str(problem)[:300])
    works = done.returncode == 0 and b"<svg" in done.stdout
    version = re.search(rb"Generated by graphviz version ([\w.]+)", done.stdout)
    detail = version[1].decode() if version else done.stderr.decode(errors="replace").strip()[:300]
    return Engine(str(path), works, f"Graphviz {detail}" if works and version else detail)


# --- advice ----------------------------------------------------------------------------------------------


def _advice(
    packages: tuple[Package, ...],
    runtimes: tuple[str, ...],
    providers: tuple[Provider, ...],
    engines: tuple[Engine, ...],
    cuda: Mapping[str, str],
) -> Iterator[str]:
    missing = [p.name for p in packages if p.required and p.version is None]
    if missing:
        yield f"archdsl is incomplete ({', '.join(missing)} missing): {install_command()}"
    if len(runtimes) > 1:
        names = " and ".join(r.split()[0] for r in runtimes)
        yield (
            f"{names} overwrite each other's files, and the CUDA provider may be lost: "
            f"pip uninstall {' '.join(r.split()[0] for r in runtimes)}, then install only one"
        )
    for package in packages:
        if package.name in _ADVISED and package.version is None:
            yield f"for {package.used_for}: {package.install}"
    for provider in providers:
        if not provider.works and provider.name.startswith(("CUDA", "Tensorrt")):
            lacks = (
                "it needs CUDA and cuDNN of matching versions" if "driver" in cuda else "there is no driver of NVIDIA"
            )
            yield f"{provider.name} is installed but does not work: {lacks}"
    if runtimes and not any(p.name == "CUDAExecutionProvider" for p in providers):
        yield f"for an NVIDIA GPU: pip uninstall onnxruntime, then {install_command('gpu')}"
    yield from _cuda_advice(cuda)
    if not any(e.works for e in engines):
        yield "for drawings as SVG and PNG: pip install graphviz-pure, or install Graphviz"


def _cuda_advice(cuda: Mapping[str, str]) -> Iterator[str]:
    majors = {name: int(version.partition(".")[0]) for name, version in cuda.items()}
    if len({majors[name] for name in ("torch", "onnxruntime") if name in majors}) > 1:
        yield (
            f"torch was built for CUDA {cuda['torch']}, ONNX Runtime for CUDA {cuda['onnxruntime']}: "
            "install builds for the same major version, or run them in environments of their own"
        )
    newest = majors.get("driver", sys.maxsize)
    for name in ("torch", "onnxruntime"):
        if majors.get(name, 0) > newest:
            yield f"the driver supports CUDA {cuda['driver']}, {name} needs CUDA {majors[name]}: update NVIDIA's driver"


# --- text ------------------------------------------------------------------------------------------------

_MARKS = {True: ("ok", "fine"), False: ("no", "error"), None: ("--", "quiet")}
"""The mark of a state, and its role in the style."""


def _as_text(installation: Installation, style: Style) -> str:
    python = f"Python {installation.python}, {installation.platform}"
    lines = [
        f"{style.paint('name', 'archdsl')} {installation.archdsl}   {python}",
        style.paint("quiet", f"  {installation.executable}"),
        style.paint("quiet", f"  {installation.library}"),
    ]
    packages = [
        (
            p.version is not None if p.required else (True if p.version else None),
            p.name,
            (p.version or "not installed").removeprefix("onnxruntime "),
            "" if p.version else p.install,
        )
        for p in installation.packages
    ]
    providers = [(p.works, p.name, p.detail or "ran a model", "") for p in installation.providers]
    engines = [(e.works, e.path, e.detail, "") for e in installation.engines]
    lines += _section("packages", packages, style)
    lines += _section("ONNX Runtime providers", providers or [(None, "none", "", "")], style)
    cuda = [
        (None, name, installation.cuda.get(name, "none"), "")
        for name in ("torch", "onnxruntime", "driver")
        if installation.cuda
    ]
    lines += _section("CUDA versions", cuda, style) if cuda else []
    lines += _section("drawing", engines or [(False, "Graphviz", "not found", "")], style)
    if installation.advice:
        lines += ["", style.paint("name", "what to do"), *(f"  {line}" for line in installation.advice)]
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Sequence[tuple[bool | None, str, str, str]], style: Style) -> list[str]:
    widths = max(len(row[1]) for row in rows), max(len(row[2]) for row in rows)
    lines = ["", style.paint("head", title)]
    for state, name, detail, hint in rows:
        mark, role = _MARKS[state]
        lines.append(f"  {style.paint(role, mark)}  {name:<{widths[0]}}  {detail:<{widths[1]}}  {hint}".rstrip())
    return lines
