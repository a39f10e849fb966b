"""Export a task's module with torch.onnx.export: `python -m archdsl.timing.export FILE`, with the task as JSON on
standard input. It is a separate process because PyTorch would add memory to the timed process and change its
allocator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from archdsl.timing.task import Task
from archdsl.timing.torch_module import module, tensors


def export(task: Task, path: Path) -> Path:
    """Write the exported file to `path`, through onnxslim for the contestant `slimmed`, and return the path.

    Raises RuntimeError with the last line on standard error if the export fails.
    """
    command = [sys.executable, "-m", "archdsl.timing.export", str(path)]
    done = subprocess.run(command, input=json.dumps(task.to_json()), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"torch.onnx.export exited with status {done.returncode}")
    return path


def main() -> None:
    import onnx
    import torch

    task, path = Task.from_json(json.load(sys.stdin)), sys.argv[1]
    torch.onnx.export(module(task), tuple(tensors(task)), path, dynamo=True, verbose=False)
    if task.contestant == "slimmed":
        import onnxslim

        onnx.save(onnxslim.slim(path), path)


if __name__ == "__main__":
    main()
