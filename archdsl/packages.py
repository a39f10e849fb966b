"""Packages that may be missing: said before they are imported."""

from __future__ import annotations

from importlib.util import find_spec

from archdsl.diagnostics import error


def require_package(
    package: str, code: str = "E0807", help: str = "install archdsl again: `pip install archdsl`"
) -> None:
    """Raises `code` (status 2) where a package is not installed; the package is not imported."""
    if find_spec(package) is None:
        raise error(code, f"{package} is not installed", status=2, help=help)
