"""A SPEC that is a model: an ONNX file, or `package.module:factory` on the command line."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)

opened: ContextVar[list[object] | None] = ContextVar("opened", default=None)
"""The networks of models that a run of the command line has opened. Only there a factory is a SPEC: it runs code."""


def names_model(spec: object) -> bool:
    """Return whether a SPEC is an ONNX file, or on the command line a factory."""
    if not isinstance(spec, (str, os.PathLike)):
        return False
    return os.fspath(spec).lower().endswith(".onnx") or (opened.get() is not None and is_factory(spec))


def is_factory(spec: object) -> bool:
    """Return whether it is the text `package.module:factory`, and no file."""
    return isinstance(spec, str) and _FACTORY.fullmatch(spec) is not None and not os.path.exists(spec)
