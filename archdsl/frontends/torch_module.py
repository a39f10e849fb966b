"""A PyTorch module, given as `package.module:factory`, as an ONNX model with its names kept.

This runs the code that it names: only what the user types gets here, never what stands in a file.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from itertools import chain
from typing import Any

import onnx
import torch
from torch import nn

from archdsl.diagnostics import error
from archdsl.frontends.onnx_model import Model, from_proto

_OPSET = 17


def call(factory: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The module that a factory makes. Raises E0844."""
    where, _, name = factory.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(where)
        for part in name.split("."):
            found = getattr(found, part)
        made = found if isinstance(found, nn.Module) else found(**arguments)
    except Exception as problem:  # the user's own code: whatever it raises
        raise error("E0844", f"`{factory}` cannot be called: {type(problem).__name__}: {problem}", status=2) from None
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        raise error("E0844", f"`{factory}` gives a {type(made).__name__}, no `torch.nn.Module`", status=2)
    return made.eval()


def trace(module: nn.Module, size: Sequence[int]) -> Model:
    """The module in evaluation mode as ONNX, its batch norms and the names of its tensors kept.

    The module is left in the mode that it was in. Raises E0844 if torch cannot export it.
    """
    target: Any = io.BytesIO()
    first = next(chain(module.parameters(), module.buffers()), None)
    modes = {inner: inner.training for inner in module.modules()}
    try:
        module.eval()
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.zeros(1, *size, device=None if first is None else first.device),),
                target,
                dynamo=False,
                opset_version=_OPSET,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )
    except Exception as problem:  # torch raises of every kind here
        why = str(problem).strip().splitlines() or [""]
        raise error("E0844", f"torch cannot export the module: {type(problem).__name__}: {why[0][:300]}") from None
    finally:
        for inner, training in modes.items():
            inner.training = training
    return from_proto(onnx.ModelProto.FromString(target.getvalue()))
