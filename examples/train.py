"""Train a network of archdsl, in one process or under `torchrun --nproc-per-node N examples/train.py ...`.

    python examples/train.py lenet5 -o digits.safetensors
    python examples/train.py examples/volumes.yaml -o volumes.safetensors

Images are scikit-learn's digits, volumes are drawn at random: replace `digits` and `volumes` by your own data. The
weights are compiled to ONNX and verified at the end.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import archdsl


def digits(size):
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    return F.interpolate(images, size, mode="bilinear"), torch.tensor(data.target)


def volumes(size):
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (400,), generator=draw)
    offset = torch.stack(torch.meshgrid(*(torch.linspace(-1, 1, n) for n in size), indexing="ij")).abs()
    forms = torch.stack([offset.norm(dim=0) < 0.7, offset.amax(dim=0) < 0.55]).float()  # of about the same volume
    return (forms[labels] + 0.5 * torch.randn(400, *size, generator=draw))[:, None], labels


def train(net, images, labels, options, first):
    """Train on three quarters of the data, write the weights after each epoch, and return the accuracy on the rest."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    used, kept = order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :]
    training = TensorDataset(images[used], labels[used])
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    model = net.to_torch(device=device)
    wrapped = DistributedDataParallel(model) if dist.is_initialized() else model
    sampler = DistributedSampler(training) if dist.is_initialized() else None
    loader = DataLoader(training, 32, shuffle=sampler is None, sampler=sampler, drop_last=True)
    optimiser = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, options.epochs * len(loader))
    for epoch in range(options.epochs):
        wrapped.train()
        if sampler is not None:
            sampler.set_epoch(epoch)
        for x, y in loader:
            with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=options.amp):
                loss = F.cross_entropy(wrapped(x.to(device)), y.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        if first:
            save_file({key: value.contiguous() for key, value in model.state_dict().items()}, options.output)
    with torch.no_grad():
        return (model.eval()(images[kept].to(device)).argmax(1).cpu() == labels[kept]).float().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("spec")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--amp", action="store_true", help="mixed precision in bfloat16")
    parser.add_argument("-o", "--output", default="trained.safetensors")
    options = parser.parse_args()
    if "RANK" in os.environ:  # torchrun
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    first = not dist.is_initialized() or dist.get_rank() == 0
    torch.manual_seed(0)
    net = archdsl.load(options.spec)
    data = digits(net.input[1:]) if len(net.input) == 3 else volumes(net.input[1:])
    accuracy = train(net, *data, options, first)
    if dist.is_initialized():
        dist.destroy_process_group()
    if first:
        print(f"{100 * accuracy:.1f} % of the test data are right")
        model = Path(options.output).with_suffix(".onnx")
        command = [sys.executable, "-m", "archdsl"]
        subprocess.run([*command, "compile", options.spec, "--weights", options.output, "-o", model], check=True)
        subprocess.run([*command, "verify", options.spec, model, "--weights", options.output], check=True)
