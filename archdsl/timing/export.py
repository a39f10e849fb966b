"""torch.onnx.export's file of a task's module, in a process of its own: `python -m archdsl.timing.export FILE`, the task
as JSON on standard input. PyTorch in the process that is timed would count as its memory, and leave it another
allocator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from archdsl.timing.task import Task
from archdsl.timing.torch_module import module, tensors


def export(task: Task, path: Path) -> Path:
    """Writes the file; of the contestant `slimmed` it goes through onnxslim. Raises RuntimeError with the last line that
    the process printed if it fails."""
    command = [sys.executable, "-m", "archdsl.timing.export", str(path)]
    done = subprocess.run(command, input=json.dumps(task.to_json()), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"torch.onnx.export ended with status {done.returncode}")
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
