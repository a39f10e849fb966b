"""torch.onnx.export's file of a job's module, in a process of its own: `python -m archdsl.timing.export FILE`, the job
as JSON on standard input. PyTorch in the process that is timed would count as its memory, and leave it another
allocator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from archdsl.timing.job import Job


def export(job: Job, path: Path) -> Path:
    """Writes the file; with `job.kind` slimmed it goes through onnxslim. Raises RuntimeError with the last words of
    what failed."""
    command = [sys.executable, "-m", "archdsl.timing.export", str(path)]
    done = subprocess.run(command, input=json.dumps(job.to_json()), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(said[-1] if said else f"torch.onnx.export ended with status {done.returncode}")
    return path


def main() -> None:
    import onnx
    import torch

    from archdsl.timing.contestants import module, tensors

    job, path = Job.from_json(json.load(sys.stdin)), sys.argv[1]
    torch.onnx.export(module(job), tuple(tensors(job)), path, dynamo=True, verbose=False)
    if job.kind == "slimmed":
        import onnxslim

        onnx.save(onnxslim.slim(path), path)


if __name__ == "__main__":
    main()
