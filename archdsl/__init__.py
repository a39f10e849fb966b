"""archdsl: check, count and draw convolutional networks written as YAML specs, and compile them to PyTorch and ONNX.

>>> import archdsl
>>> net = archdsl.load("resnet50", classes=3)
>>> net.params
23514179

`load` opens a SPEC, `loads` a text. `create_model` and `list_models` are named after timm's functions. `list` lists
networks of the library, `compare` compares their costs, `sweep` those of one spec with other arguments, `solve` finds
the best arguments within budgets, `diff` lists the differences between two networks, `figure` draws several side by
side. `check` reports every error of specs, `fix` repairs them, `verify` compares compiled networks with a reference,
`predict` runs a network on images, `bench` measures its speed, `attribute` explains a score. A wrong spec raises an
`ArchError`, whose `diagnostics` report where and what is wrong, and why. Heavy packages are imported when they are
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.version import __version__ as __version__

if TYPE_CHECKING:
    from archdsl.attribution.attribute import attribute as attribute
    from archdsl.attribution.attribute import attribute_stream as attribute_stream
    from archdsl.diagnostics import ArchError as ArchError
    from archdsl.diagnostics import Diagnostic as Diagnostic
    from archdsl.differences.diff import diff as diff
    from archdsl.frontends.families import import_family as import_family
    from archdsl.frontends.importing import import_model as import_model
    from archdsl.graph import Graph as Graph
    from archdsl.graph import Node as Node
    from archdsl.library.check import check as check
    from archdsl.library.compare import compare as compare
    from archdsl.library.create import create_model as create_model
    from archdsl.library.create import list_models as list_models
    from archdsl.library.fix import fix as fix
    from archdsl.library.list import list as list
    from archdsl.network import Network as Network
    from archdsl.network import load as load
    from archdsl.network import loads as loads
    from archdsl.network.figure import figure as figure
    from archdsl.network.training import training_cost as training_cost
    from archdsl.planning.solve import solve as solve
    from archdsl.planning.sweep import sweep as sweep
    from archdsl.prediction.predict import predict as predict
    from archdsl.prediction.predict import predict_stream as predict_stream
    from archdsl.serving.bundle import bundle as bundle
    from archdsl.timing.bench import bench as bench
    from archdsl.timing.calibrate import calibrate as calibrate
    from archdsl.timing.estimate import estimate as estimate
    from archdsl.verification.verify import verify as verify

_PLACES = {
    "ArchError": "diagnostics",
    "Diagnostic": "diagnostics",
    "Graph": "graph",
    "Node": "graph",
    "Network": "network",
    "load": "network",
    "loads": "network",
    "figure": "network.figure",
    "list": "library.list",
    "create_model": "library.create",
    "list_models": "library.create",
    "check": "library.check",
    "fix": "library.fix",
    "compare": "library.compare",
    "sweep": "planning.sweep",
    "solve": "planning.solve",
    "diff": "differences.diff",
    "verify": "verification.verify",
    "import_family": "frontends.families",
    "import_model": "frontends.importing",
    "predict": "prediction.predict",
    "predict_stream": "prediction.predict",
    "bench": "timing.bench",
    "calibrate": "timing.calibrate",
    "estimate": "timing.estimate",
    "training_cost": "network.training",
    "bundle": "serving.bundle",
    "attribute": "attribution.attribute",
    "attribute_stream": "attribution.attribute",
}
"""Every public name and the module that defines it, which is imported when the name is first used.

Type checkers read the imports above instead: a new public name needs a line there and a line here.
"""

__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "weights":  # a package with functions of its own
        return import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> Any:
    return [*__all__, "__version__"]
