"""Conversion of a PyTorch module, or of `package.module:factory`, to an ONNX model with its names kept.

Calling a factory runs its code: the name comes from the user alone, never from a file.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from itertools import chain
from typing import Any

import onnx
import torch
from torch import nn

from archdsl.diagnostics import error
from archdsl.frontends.onnx_model import SourceModel, from_proto

_OPSET = 17


def call(factory: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Call a factory and return its module in evaluation mode. Raises E0844 if it fails or returns something else."""
    package, _, name = factory.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        target: Any = import_module(package)
        for part in name.split("."):
            target = getattr(target, part)
        module = target if isinstance(target, nn.Module) else target(**arguments)
    except Exception as problem:  # the user's own code can raise anything
        raise error("E0844", f"`{factory}` cannot be called: {type(problem).__name__}: {problem}", status=2) from None
    finally:
        sys.path.pop(0)
    if not isinstance(module, nn.Module):
        raise error("E0844", f"`{factory}` returns a {type(module).__name__}, not a `torch.nn.Module`", status=2)
    return module.eval()


def trace(module: nn.Module, size: Sequence[int]) -> SourceModel:
    """Export the module in evaluation mode, with its batch norms and the names of its tensors.

    Its own mode is restored afterwards. Raises E0844 if torch cannot export it.
    """
    output: Any = io.BytesIO()
    first = next(chain(module.parameters(), module.buffers()), None)
    modes = {inner: inner.training for inner in module.modules()}
    try:
        module.eval()
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.zeros(1, *size, device=None if first is None else first.device),),
                output,
                dynamo=False,
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )
    except Exception as problem:  # torch raises exceptions of many types
        lines = str(problem).strip().splitlines() or [""]
        raise error("E0844", f"torch cannot export the module: {type(problem).__name__}: {lines[0][:300]}") from None
    finally:
        for inner, training in modes.items():
            inner.training = training
    return replace(from_proto(onnx.ModelProto.FromString(output.getvalue())), classes=classes_of(module))


def classes_of(module: nn.Module) -> dict[str, str]:
    """The class name of each module inside, containers too, by path; a module with two paths is listed under both."""
    return {path: type(inner).__name__ for path, inner in module.named_modules(remove_duplicate=False)}
