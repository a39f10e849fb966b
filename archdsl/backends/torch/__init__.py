"""Graph to PyTorch: as a module (`to_torch`, `build`) and as a Python file (`to_source`, which needs no torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.backends.torch.source import to_source

if TYPE_CHECKING:
    from archdsl.backends.torch.module import build, to_torch

__all__ = ["build", "to_source", "to_torch"]


def __getattr__(name: str) -> Any:
    if name not in ("build", "to_torch"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from archdsl.backends.torch import module
    except ImportError as e:
        from archdsl.diagnostics import error
        from archdsl.packages import install_command

        raise error("E0801", f"PyTorch is needed for this: {e}", status=2, help=install_command("torch")) from None
    return getattr(module, name)
