"""The classes of `layers` for signals, images and volumes: as text for printed source, and as classes for the module.

`layers` contains each class for images. The class for another kind of input has the same text with other names and
words. Only `layer_class` imports torch.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Collection, Iterable
from functools import cache
from importlib import resources
from importlib.abc import ExecutionLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import TYPE_CHECKING

from archdsl.axes import KINDS, MOST
from archdsl.backends.torch.layout import INDENT, SourceGroup, lay

if TYPE_CHECKING:
    from torch import nn

_MODULE = f"{__package__}.layers"
_WRITTEN = 2
"""The number of axes for which `layers` is written."""
_SIDES = ("left", "right", "top", "bottom", "front", "back")
"""PyTorch's names of the numbers of `F.pad`."""


def layer_names() -> frozenset[str]:
    """Return the names of all classes and functions of `layers`, for any number of axes."""
    return frozenset(_texts())


def layer_texts(names: Collection[str]) -> list[str]:
    """Return the texts of these classes, in the order of `layers`."""
    return [text for name, (_, text) in _texts().items() if name in names]


def init_text(axes: Iterable[int]) -> str:
    """Return the text of `init_weights` for networks with tensors of these numbers of axes."""
    _, text = _texts()["init_weights"]
    written, needed = (_test(numbers) for numbers in ([_WRITTEN], sorted(filter(None, axes)) or [_WRITTEN]))
    assert written in text, "`init_weights` tests for convolutions first"
    return text.replace(written, needed)


def _test(numbers: Collection[int]) -> str:
    """Return the line that tests for convolutions along these numbers of axes."""
    classes = (f"nn.{name}{axes}d" for axes in numbers for name in ("Conv", "ConvTranspose"))
    arguments = ("module", SourceGroup("(", tuple(classes)))
    return "\n".join(lay("if isinstance", SourceGroup("(", arguments), ":", INDENT))


def layer_class(name: str) -> type[nn.Module]:
    """Return the class of this name."""
    axes, _ = _texts()[name]
    found: type[nn.Module] = getattr(_module(axes), name)
    return found


@cache
def _texts() -> dict[str, tuple[int, str]]:
    """Return the number of axes and the text of each class and function, in the order of the file."""
    written = _file()
    texts = {}
    for part in ast.parse(written).body:
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)):
            own = ast.get_source_segment(written, part) or ""
            for axes in range(1, MOST + 1) if f"{_WRITTEN}d" in part.name else (_WRITTEN,):
                texts[_reworded(part.name, axes)] = axes, _reworded(own, axes)
    return texts


def _file() -> str:
    return resources.files(__package__).joinpath("layers.py").read_text("utf-8")


def _reworded(text: str, axes: int) -> str:
    """Return a text of `layers` for another number of axes."""
    for written, word in zip(_words(_WRITTEN), _words(axes), strict=True):
        text = text.replace(written, word)
    return text


def _words(axes: int) -> tuple[str, ...]:
    """Return the words that differ between the texts: in names of classes and functions, and in docstrings."""
    kind = KINDS[axes]
    return f"{axes}d", kind.noun, kind.point, ", ".join(kind.letters), ", ".join(_SIDES[: 2 * axes])


class _TextLoader(ExecutionLoader):
    """Loads a module from a text, of which tracebacks quote the lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_filename(self, fullname: str) -> str:
        return f"<archdsl>/{fullname}.py"


def load_text(name: str, text: str) -> ModuleType:
    """Return a text that archdsl generated as a Python module; no import finds it."""
    spec = spec_from_loader(name, _TextLoader(text))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _module(axes: int) -> ModuleType:
    """Import the classes for this number of axes."""
    if axes == _WRITTEN:
        return importlib.import_module(_MODULE)
    return load_text(f"{_MODULE}_{axes}d", _reworded(_file(), axes))
