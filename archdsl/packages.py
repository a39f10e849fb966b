"""Optional packages: a check before they are imported, and the command that installs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from archdsl.diagnostics import error

USES = {
    "torch": "PyTorch modules, .pth weights",
    "cpu": "archdsl predict",
    "torchvision": "weights and transforms of torchvision",
    "timm": "weights of timm",
    "hub": "weights of Hugging Face",
    "plot": "charts",
    "pdf": "drawings as PDF",
    "store": "images in a store, s3://",
    "parquet": "tables as Parquet",
    "ray": "archdsl predict on a cluster",
    "mcp": "archdsl mcp",
    "serve": "archdsl watch, and mcp over HTTP",
    "office": "drawings as PowerPoint files",
    "dicom": "DICOM files",
    "nifti": "NIfTI files",
    "lsp": "editors",
}
"""What each extra is for."""
EXTRAS = {
    "onnxruntime": "cpu",
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "huggingface_hub": "hub",
    "matplotlib": "plot",
    "svg2pdf_py": "pdf",
    "fsspec": "store",
    "pyarrow": "parquet",
    "ray": "ray",
    "mcp": "mcp",
    "starlette": "serve",
    "uvicorn": "serve",
    "watchfiles": "serve",
    "pptx": "office",
    "pydicom": "dicom",
    "nibabel": "nifti",
    "pygls": "lsp",
}
"""The extra of pyproject.toml that installs a package; a package that is not here is a required one."""


def require_package(package: str, code: str = "E0807", help: str = "") -> None:
    """Raises `code` (status 2) if a package is not installed. The package is not imported.

    `help` replaces the hint, which by default is the command that installs the package.
    """
    if find_spec(package) is None:
        help = help or install_command(EXTRAS.get(package, ""))
        name = "python-pptx" if package == "pptx" else package  # as pip and `archdsl doctor` call it
        raise error(code, f"{name} is not installed", status=2, help=help)


def install_command(extra: str = "") -> str:
    """The command that installs archdsl with an extra: `pip install "archdsl[torch]"`.

    For a checkout and for an archdsl that pip installed from a folder, it names that folder, because the package index
    may have another archdsl or none. Double quotes also work in the shells of Windows.
    """
    folder, editable = _source_folder()
    option = " -e" if editable else "" if extra else " --force-reinstall"
    if folder is None and not extra:
        return f"pip install{option} archdsl"
    name = "archdsl" if folder is None else "." if folder == Path.cwd() else folder
    return f'pip install{option} "{name}{f"[{extra}]" if extra else ""}"'


def _source_folder() -> tuple[Path | None, bool]:
    """The folder that archdsl was installed from if it is still there, and whether its code runs from that folder."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout, True
    folder = _recorded_folder()
    return (folder, False) if folder is not None and (folder / "pyproject.toml").is_file() else (None, False)


def _recorded_folder() -> Path | None:
    """The folder that pip noted when it installed archdsl (PEP 610)."""
    import json
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        noted = metadata.distribution("archdsl").read_text("direct_url.json")
        url = urlsplit(json.loads(noted or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return Path(url2pathname(url.path)) if url.scheme == "file" else None
