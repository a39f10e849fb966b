"""Compare `archdsl predict` on many images with an older archdsl, and with a loop of torchvision and ONNX Runtime.

`python benchmarks/predict.py [--peer COMMIT] [--images 400] [--rounds 3] [--memory]`.

ResNet-18 with random weights on JPEGs of 640 x 480. Each contestant is a whole process and runs in turns with the
others; each runs 50 images and more, and the difference, divided by the number of additional images, has no start-up
time. The older archdsl is a git worktree of COMMIT, which takes paths only; `dataloader` is torchvision's DataLoader
with two workers and ONNX Runtime. With `--memory`: the peak of 5,000 images compared with that of 50.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from measure import ROOT, Run, machine, missing, run, table

FEW = 50
DATALOADER = """
import sys, numpy as np, onnxruntime, torch
from PIL import Image
from torchvision import transforms as T

class Images(torch.utils.data.Dataset):
    def __init__(self, paths):
        self.paths = paths
        normal = T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.steps = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), normal])
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, number):
        return self.steps(Image.open(self.paths[number]).convert("RGB"))

torch.set_num_threads(1)
session = onnxruntime.InferenceSession(sys.argv[1])
name = session.get_inputs()[0].name
for batch in torch.utils.data.DataLoader(Images(sys.argv[2:]), batch_size=8, num_workers=2):
    for values in torch.from_numpy(session.run(None, {name: batch.numpy()})[0]).softmax(1):
        print(values.topk(5))
"""


def images(folder: Path, count: int) -> list[str]:
    """Photographs of 640 x 480: cuts of one, each of another place and size."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    with Image.open(ROOT / "tests" / "support" / "data" / "cat.jpg") as opened:
        cat = opened.convert("RGB")
    names = []
    for number in range(count):
        left, top, right, bottom = draw.integers(0, (cat.width // 4, cat.height // 4) * 2)
        path = folder / f"{number:05}.jpg"
        box = (int(left), int(top), cat.width - int(right), cat.height - int(bottom))
        cat.resize((640, 480), box=box).save(path, quality=90)
        names.append(str(path))
    return names


def archdsl(checkout: Path) -> list[str]:
    """The start of a command of the archdsl in a checkout, which must not find another one in the working directory."""
    run_module = "runpy.run_module('archdsl', run_name='__main__')"
    code = f"import runpy, sys; sys.path.insert(0, {str(checkout)!r}); sys.argv[0] = 'archdsl'; {run_module}"
    return [sys.executable, "-P", "-c", code]


def commands(folder: Path, peer: Path | None) -> dict[str, list[str]]:
    """The start of each contestant's command; paths follow. Each archdsl compiles its own model."""
    own = str(folder / "own.onnx")
    run([*archdsl(ROOT), "compile", "resnet18", "-o", own])
    all_ = {"archdsl": [*archdsl(ROOT), "predict", own, "--format", "jsonl"]}
    if peer is not None:
        older = str(folder / "peer.onnx")
        run([*archdsl(peer), "compile", "resnet18", "-o", older])
        all_["peer"] = [*archdsl(peer), "predict", older, "--format", "json"]
    if not missing("torch", "torchvision"):
        all_["dataloader"] = [sys.executable, "-c", DATALOADER, own]
    return all_


def per_image(few: Run, many: Run, more: int) -> tuple[float, float]:
    """Milliseconds of time and of CPU time."""
    return 1000 * (many.wall_s - few.wall_s) / more, 1000 * (many.cpu_s - few.cpu_s) / more


def speed(contestants: dict[str, list[str]], names: list[str], rounds: int) -> str:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, command in contestants.items():
            few, many = run([*command, *names[:FEW]]), run([*command, *names])
            times[name].append(per_image(few, many, len(names) - FEW))
    medians = {name: [median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    wall, cpu = medians["archdsl"]
    rows = [
        (name, f"{1000 / w:.1f}", f"{w:.2f}", f"{c:.2f}", f"{w / wall:.2f}", f"{cpu / c:.2f}")
        for name, (w, c) in medians.items()
    ]
    head = ("", "images/s", "ms", "CPU ms", "archdsl's rate / this", "archdsl's CPU time / this")
    return table(head, rows)


def memory(command: list[str], folder: Path, names: list[str]) -> str:
    """Peaks of 50 images and of 5,000, which are links in a list."""
    peaks = {}
    for count in (FEW, 5000):
        listed = folder / "list.txt"
        listed.write_text("\n".join((names * (count // len(names) + 1))[:count]))
        peaks[count] = run([*command, f"@{listed}"]).peak_bytes / 1e6
    more = peaks[5000] - peaks[FEW]
    return table(("images", "peak, MB"), [(f"{n:,}", f"{p:.1f}") for n, p in peaks.items()] + [("more", f"{more:.1f}")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a commit of archdsl to compare with")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    print(machine("onnxruntime", "pillow", "numpy"), "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = None
        names = images(folder, arguments.images)
        if arguments.memory:
            print(memory(commands(folder, None)["archdsl"], folder, names))
            return
        if arguments.peer:
            peer = folder / "peer"
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--detach", str(peer), arguments.peer], check=True, capture_output=True)
        try:
            print(speed(commands(folder, peer), names, arguments.rounds))
        finally:
            if peer is not None:
                subprocess.run([*git, "remove", "--force", str(peer)], check=True)


if __name__ == "__main__":
    main()
