"""The PyTorch module and the inputs of a task.

PyTorch is imported only when a module or a tensor is made: it adds memory to the process that is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from archdsl.runtime.devices import place_of
from archdsl.timing.task import Task


def inputs(task: Task) -> dict[str, npt.NDArray[np.float32]]:
    """Return standard normal arrays from the task's seed, by input name, batch first."""
    rng = np.random.default_rng(task.seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in task.shapes.items()}


def module(task: Task) -> Any:
    """Return the PyTorch module in evaluation mode, on the task's device and in its precision."""
    import torch

    from archdsl.network import load

    torch.set_num_threads(task.threads)
    network = load(task.spec).to_torch(task.weights).eval().requires_grad_(False)
    if task.device == "cpu":
        return network
    torch.backends.cudnn.benchmark = True  # searches for the fastest algorithm, as this ONNX Runtime session does
    # Convolutions would round float32 to 10 bits, which this ONNX Runtime session does not.
    torch.backends.cudnn.allow_tf32 = False
    network = network.to(place_of(task.device).torch)
    return network.half() if task.half else network


def tensors(task: Task) -> list[Any]:
    """Return the inputs as tensors, on the task's device and in its precision."""
    import torch

    arrays = [torch.from_numpy(value) for value in inputs(task).values()]
    if task.device == "cpu":
        return arrays
    place = place_of(task.device).torch
    return [array.to(place).half() if task.half else array.to(place) for array in arrays]
