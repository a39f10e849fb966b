"""archdsl: convolutional networks as YAML specs: checked, counted, drawn, compiled to PyTorch and ONNX.

>>> import archdsl
>>> net = archdsl.load("resnet50", classes=3)
>>> net.params
23514179

`load` a SPEC, `loads` a text, `check` one with all its variants and claims, `list` the library. What is wrong with a
spec is an `ArchError`, whose `diagnostics` say where, what and why. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.version import __version__ as __version__

if TYPE_CHECKING:
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.graph import Graph, Node
    from archdsl.library.check import review as check
    from archdsl.network import Network, load, loads
    from archdsl.spec.find import network_names as list

_WHERE = {
    "ArchError": "diagnostics",
    "Diagnostic": "diagnostics",
    "Graph": "graph",
    "Node": "graph",
    "Network": "network",
    "load": "network",
    "loads": "network",
    "list": "spec.find",
    "check": "library.check",
}
_CALLED = {"list": "network_names", "check": "review"}
"""Names that are others at home: those would hide a builtin, or a module of this package."""

__all__ = ["ArchError", "Diagnostic", "Graph", "Network", "Node", "check", "list", "load", "loads"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_WHERE[name]}")
    return getattr(module, _CALLED.get(name, name))


def __dir__() -> Any:
    return [*__all__, "__version__"]
