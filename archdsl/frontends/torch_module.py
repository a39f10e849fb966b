"""A PyTorch module, or `package.module:factory`, as a model of ONNX's ops, with the names of its modules and tensors.

Calling a factory runs its code: the name comes from the user alone, never from a file.
"""

from __future__ import annotations

import inspect
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import conflict
from archdsl.frontends.aten import translate
from archdsl.frontends.aten.translation import BATCH, address, numbers
from archdsl.frontends.onnx_model import SourceModel


def call(factory: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Call a factory and return its module in evaluation mode. What it prints goes to standard error, as the output is
    the spec's. Raises E0844 if it fails, ends Python, or returns something else."""
    package, _, name = factory.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        with redirect_stdout(sys.stderr):
            target: Any = import_module(package)
            for part in name.split("."):
                target = getattr(target, part)
            module = target if isinstance(target, nn.Module) else target(**arguments)
    except (Exception, SystemExit) as problem:  # the user's own code can raise anything
        raise error("E0844", f"`{factory}` cannot be called: {type(problem).__name__}: {problem}", status=2) from None
    finally:
        sys.path.pop(0)
    if module is target and arguments:
        raise conflict(f"`args` are passed to a factory; `{factory[:120]}` is a module", "leave out `args`")
    if not isinstance(module, nn.Module):
        raise error("E0844", f"`{factory}` returns a {type(module).__name__}, not a `torch.nn.Module`", status=2)
    return module.eval()


def trace(module: nn.Module, size: Sequence[int]) -> SourceModel:
    """Read the module in evaluation mode, for inputs of a size without the batch; ops have the paths of its modules.

    The weights are not copied. Its own mode is restored afterwards. Raises E0844 if torch cannot trace it, E0842 for
    ops that archdsl does not support.
    """
    _check_inputs(module)
    try:
        with evaluating(module):
            program = _exported(module, size)
    except (Exception, SystemExit) as problem:  # torch raises exceptions of many types
        raise error("E0844", f"torch cannot trace the module: {_reason(problem)}") from None
    parameters = dict(module.named_parameters(remove_duplicate=False))
    tensors = {**parameters, **dict(module.named_buffers(remove_duplicate=False))}
    first: dict[nn.Module, str] = {}
    paths = {path: first.setdefault(inner, path) for path, inner in module.named_modules(remove_duplicate=False)}
    model = translate(program, type(module).__name__, _names(tensors), paths)
    constants = {**{name: numbers(tensor) for name, tensor in tensors.items()}, **model.constants}
    learned = frozenset({model.origins.get(name, name) for name in model.constants} & parameters.keys())
    return replace(
        model, constants=constants, classes=classes_of(module), learned=learned, state=tuple(module.state_dict())
    )


def _check_inputs(module: nn.Module) -> None:
    """Raises E0844 unless `forward` can be called with one tensor."""
    try:
        inspect.signature(module.forward).bind(None)
    except TypeError as problem:
        raise error(
            "E0844",
            f"`forward` of the module cannot be called with one input ({problem}), and archdsl passes one",
            help="pass a module that creates the other inputs itself, or export it to ONNX with fixed sizes",
        ) from None
    except ValueError:  # it has no signature
        return


def _reason(problem: BaseException) -> str:
    """The type of an exception with the first line of its message; an assertion has often none, but a line of code."""
    lines = str(problem).strip().splitlines()
    if lines:
        return f"{type(problem).__name__}: {lines[0][:300]}"
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{type(problem).__name__} at `{(frames[-1].line or '')[:200]}`" if frames else type(problem).__name__


def with_values(module: nn.Module) -> nn.Module:
    """The module; or if it has tensors without values (of the device `meta`), a copy with zeros in their place."""
    tensors = {id(t): t for t in chain(module.parameters(), module.buffers()) if t.is_meta}
    if not tensors:
        return module
    zeros: dict[int, Any] = {}
    for number, tensor in tensors.items():
        memory = torch.from_numpy(np.zeros(tensor.nbytes, np.uint8))  # the system provides it when it is written
        value = memory.view(tensor.dtype).reshape(tensor.shape)
        zeros[number] = nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
    return deepcopy(module, zeros)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, without gradients; what it prints goes to standard error. The mode of each module
    inside is restored afterwards."""
    modes = {inner: inner.training for inner in module.modules()}
    try:
        module.eval()
        with torch.no_grad(), redirect_stdout(sys.stderr):
            yield
    finally:
        for inner, training in modes.items():
            inner.training = training


def _exported(module: nn.Module, size: Sequence[int]) -> ExportedProgram:
    """The program of the module. Nothing is printed."""
    floats = (tensor for tensor in chain(module.parameters(), module.buffers()) if tensor.is_floating_point())
    like = next(floats, torch.zeros(()))
    loggers = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (like.new_zeros(BATCH, *size),), strict=False)
            program.graph.eliminate_dead_code()
            return program
    finally:
        logging.disable(loggers)


def _names(tensors: Mapping[str, torch.Tensor]) -> dict[int, list[str]]:
    """For the address of each tensor of the module, all its names: a tensor with two is shared by two modules."""
    names: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        names.setdefault(address(tensor), []).append(name)
    return names


def classes_of(module: nn.Module) -> dict[str, str]:
    """The class name of each module inside, containers too, by path; a module with two paths is listed under both."""
    return {path: type(inner).__name__ for path, inner in module.named_modules(remove_duplicate=False)}
