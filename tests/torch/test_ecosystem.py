"""The module in the tools of PyTorch's ecosystem: the rows of `docs/pytorch.md`, each a test.

Tests `backends/torch/module.py`.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archdsl
from tests.support.places import ROOT

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")

SPEC = """
name: small
input: 3x32x32
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual:
      conv1: 3x3 conv w /s
      conv2: 3x3 conv w linear
    then: relu
net:
  stem: 3x3 conv 8 /2
  body: [basic(8), "basic(16, 2)"]
  excite: {branches: [identity, {gap: gap, f1: 1x1 conv 4 nobias relu6, f2: 1x1 conv 16 sigmoid}], merge: mul}
  pool: gap
  fc: fc 10
"""


def small() -> Any:
    return archdsl.loads(SPEC).to_torch()


def images(count: int = 2) -> Any:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def same(one: Any, other: Any, most: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= most * max(1.0, float(other.abs().max())))


# --- saved, copied, sent ------------------------------------------------------------------------------------------


def saved(module: Any) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def by_joblib(module: Any) -> Any:
    import joblib

    file = io.BytesIO()
    joblib.dump(module, file)
    file.seek(0)
    return joblib.load(file)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": saved,
    "deepcopy": copy.deepcopy,
    "joblib": by_joblib,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies(how: str) -> None:
    """A copy has what somebody changed: another head, a frozen layer, a training mode."""
    module = small()
    module.fc = nn.Linear(16, 3)
    module.stem.requires_grad_(False)
    module.body.train()
    made = COPIES[how](module)
    assert torch.equal(made.eval()(images()), module.eval()(images()))
    assert type(made.fc) is nn.Linear
    assert not made.stem.conv.weight.requires_grad
    assert type(made.body[0]) is type(made.body[0])
    made.stem.conv.weight.data.zero_()
    assert module.stem.conv.weight.abs().max() > 0


def test_a_part_and_a_whole_around_it_are_pickled() -> None:
    module = small()
    part = pickle.loads(pickle.dumps(module.body[0]))
    x = torch.randn(1, 8, 16, 16)
    assert torch.equal(part(x), module.body[0](x))
    whole = nn.Sequential(module, nn.ReLU())
    assert torch.equal(pickle.loads(pickle.dumps(whole))(images()), whole(images()))


def test_a_class_derived_from_a_generated_one() -> None:
    class Mine(type(small())):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(x) + 1

    mine = Mine().eval()
    assert type(copy.deepcopy(mine)) is Mine
    assert torch.equal(copy.deepcopy(mine)(images()), mine(images()))


def test_outputs_are_pickled() -> None:
    """Of several outputs, as a worker sends them back."""
    text = "input: 3x8x8\nnet: {a: 3x3 conv 4, b: gap}\noutputs: [a, b]"
    made = archdsl.loads(text).to_torch()(torch.zeros(1, 3, 8, 8))
    again = pickle.loads(pickle.dumps(made))
    assert type(again).__name__ == type(made).__name__ == "NetworkOutputs"
    assert all(torch.equal(one, other) for one, other in zip(again, made, strict=True))


def script(tmp_path: Path, text: str, *command: str) -> str:
    """Run a script of its own, because processes that it starts import it."""
    file = tmp_path / "script.py"
    file.write_text(f"import archdsl, torch\nSPEC = {SPEC!r}\n{textwrap.dedent(text)}", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=env,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_spawned_processes(tmp_path: Path) -> None:
    text = """
    def run(module, queue):
        queue.put(module(torch.ones(1, 3, 32, 32)).tolist())

    if __name__ == "__main__":
        context = torch.multiprocessing.get_context("spawn")
        module, queue = archdsl.loads(SPEC).to_torch(), context.Queue()
        with torch.no_grad():
            child = context.Process(target=run, args=(module, queue))
            child.start()
            assert queue.get(timeout=200) == module(torch.ones(1, 3, 32, 32)).tolist()
            child.join()
        print("equal")
    """
    assert "equal" in script(tmp_path, text)


# --- traced, exported, compiled -----------------------------------------------------------------------------------


def test_symbolic_trace() -> None:
    module = small()
    traced = torch.fx.symbolic_trace(module)
    assert torch.equal(traced(images()), module(images()))
    assert torch.equal(pickle.loads(pickle.dumps(traced))(images()), module(images()))


def test_every_layer_is_traced() -> None:
    """One network of layers that torch lacks, in both modes."""
    text = """
    name: layers
    input: 4x12x12
    net: [3x3 conv 8 pad=same, 2x2 maxpool pad=same /1, 3x3 avgpool pad=same /1 inside, 3x3 blurpool /1,
          droppath 0.5, hardsigmoid alpha=0.3 beta=0.5, scaled_tanh, ln, pixelshuffle 2, pixelunshuffle 2,
          softmax space]
    """
    module = archdsl.loads(textwrap.dedent(text)).to_torch()
    x = torch.randn(2, 4, 12, 12)
    assert torch.equal(torch.fx.symbolic_trace(module)(x), module(x))
    torch.fx.symbolic_trace(module.train())(x)


FEATURES = [{"module": f"body.{n}", "num_chs": 8 * 2**n, "reduction": 2 * 2**n} for n in range(2)]
"""What timm wants to know about the outputs."""


def test_feature_extractors() -> None:
    from timm.models import FeatureGraphNet
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    module = small()
    names = ["body.0.conv1.relu", "body.1.relu", "pool"]
    assert set(names) <= set(get_graph_node_names(module)[1])
    made = create_feature_extractor(module, names)(images())
    kept: list[Any] = []
    module.body[1].relu.register_forward_hook(lambda m, i, o: kept.append(o))
    module(images())
    assert torch.equal(made["body.1.relu"], kept[0])
    module.feature_info = FEATURES
    graph = FeatureGraphNet(module, out_indices=(0, 1), out_map=["body.0", "body.1"])
    assert [tuple(x.shape) for x in graph(images())] == [(2, 8, 16, 16), (2, 16, 8, 8)]


def test_feature_hooks_of_timm() -> None:
    from timm.models import FeatureHookNet

    module = small()
    module.feature_info = FEATURES
    net = FeatureHookNet(module, out_indices=(0, 1), out_map=["body.0", "body.1"], no_rewrite=True)
    assert [tuple(x.shape) for x in net(images())] == [(2, 8, 16, 16), (2, 16, 8, 8)]


def test_quantisation() -> None:
    """By export, with torchao; torch 2.14 has no quantisation by FX."""
    pytest.importorskip("torchao")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    module = small()
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(module, (images(),)).module(), quantizer)
    prepared(images())
    made = convert_pt2e(prepared)
    assert "quantize_per_tensor" in made.code
    assert same(made(images()), module(images()), 0.1)


def test_export_with_free_sizes() -> None:
    module = small()
    batch, height, width = (torch.export.Dim(name, min=2, max=64) for name in ("batch", "h", "w"))
    program = torch.export.export(module, (images(),), dynamic_shapes={"x": {0: batch, 2: 2 * height, 3: 2 * width}})
    x = torch.randn(5, 3, 48, 64)
    assert same(program.module()(x), module(x))


def test_jit_trace() -> None:
    module = small()
    assert same(torch.jit.trace(module, images())(images(3)), module(images(3)))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compile_in_one_graph(backend: str, training: bool) -> None:
    module = small().train(training)
    wanted = module(images())
    torch._dynamo.reset()
    assert same(torch.compile(copy.deepcopy(module), fullgraph=True, backend=backend)(images()), wanted, 1e-4)


# --- training -----------------------------------------------------------------------------------------------------


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
START = """
import torch.distributed as dist
torch.manual_seed(0)
dist.init_process_group("gloo")
rank = dist.get_rank()
module = archdsl.loads(SPEC).to_torch().train()
images = torch.randn(4, 3, 32, 32)
mine = images[2 * rank : 2 * rank + 2]
"""


def test_data_parallel(tmp_path: Path) -> None:
    """The gradients are the means over both processes."""
    text = f"""{START}
module.eval()
alone = archdsl.loads(SPEC).to_torch()
alone(images).square().mean().backward()
parallel = torch.nn.parallel.DistributedDataParallel(module)
parallel(mine).square().mean().backward()
for one, other in zip(module.parameters(), alone.parameters()):
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)
print("equal")
dist.destroy_process_group()
"""
    assert script(tmp_path, text, *TORCHRUN).count("equal") == 2


def test_fully_sharded(tmp_path: Path) -> None:
    text = f"""{START}
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
module.eval()
with torch.no_grad():
    wanted = module(mine)
mesh = init_device_mesh("cpu", (2,))
for block in module.body:
    fully_shard(block, mesh=mesh)
fully_shard(module, mesh=mesh)
output = module(mine)
torch.testing.assert_close(output.detach(), wanted, rtol=1e-4, atol=1e-5)
output.square().mean().backward()
torch.optim.SGD(module.parameters(), lr=0.1).step()
print("equal")
dist.destroy_process_group()
"""
    assert script(tmp_path, text, *TORCHRUN).count("equal") == 2


def step(module: Any, x: Any) -> Any:
    """Return the gradients of one training step, by parameter."""
    module.zero_grad()
    module(x).square().mean().backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def test_autocast() -> None:
    module = small().train()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(images())
    assert output.dtype is torch.bfloat16
    output.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_channels_last() -> None:
    module = small()
    wanted = module(images())
    module.to(memory_format=torch.channels_last)
    inner: list[Any] = []
    module.body.register_forward_hook(lambda m, i, o: inner.append(o))
    assert same(module(images().to(memory_format=torch.channels_last)), wanted)
    assert inner[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("whose", ["torch", "timm"])
def test_averaged_weights(whose: str) -> None:
    from timm.utils import ModelEmaV3
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    module = small()
    start = module.fc.weight.detach().clone()
    if whose == "torch":
        average: Any = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5))
        average.update_parameters(module)
        update = average.update_parameters
    else:
        average = ModelEmaV3(module, decay=0.5)
        update = average.update
    with torch.no_grad():
        module.fc.weight.add_(1)
    update(module)
    assert torch.allclose(average.module.fc.weight, start + 0.5)
    assert average(images()).shape == (2, 10)


def test_activation_checkpoints() -> None:
    from torch.utils.checkpoint import checkpoint

    module = small().eval()
    wanted = step(module, images())
    for block in module.body:
        block.forward = lambda x, run=block.forward: checkpoint(run, x, use_reentrant=False)
    gradients = step(module, images())
    assert all(torch.allclose(gradients[name], wanted[name]) for name in wanted)


def test_conversion_to_synchronised_norms() -> None:
    module = small()
    wanted = module(images())
    made = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    assert sum(isinstance(part, nn.SyncBatchNorm) for part in made.modules()) == 8
    assert torch.equal(made.eval()(images()), wanted)


def test_a_hook_at_every_path() -> None:
    module = small().train()
    forward: set[str] = set()
    backward: set[str] = set()
    for path, part in module.named_modules():
        part.register_forward_hook(lambda m, i, o, path=path: forward.add(path))
        part.register_full_backward_hook(lambda m, i, o, path=path: backward.add(path))
    module(images()).sum().backward()
    assert forward == backward == {path for path, _ in module.named_modules()}


def test_functions_of_torch_func() -> None:
    module = small()
    weights = {name: parameter.detach() for name, parameter in module.named_parameters()}

    def loss(weights: Any, x: Any) -> Any:
        return torch.func.functional_call(module, weights, (x[None],)).square().mean()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, images())
    summed = {name: value.mean(0) for name, value in each.items()}
    wanted = step(module, images())
    assert all(torch.allclose(summed[name], wanted[name], rtol=1e-4, atol=1e-6) for name in wanted)


def test_int8_weights_of_torchao() -> None:
    pytest.importorskip("torchao")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    module = small()
    wanted = module(images())
    quantize_(module, Int8WeightOnlyConfig())
    assert type(module.fc.weight).__name__ != "Parameter"
    assert same(module(images()), wanted, 0.05)


def test_lightning(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = small().train()  # Lightning keeps the mode

        def training_step(self, batch: Any, _: int) -> Any:
            return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    task = Task()
    before = task.network.fc.weight.detach().clone()
    data = torch.utils.data.TensorDataset(images(4), torch.tensor([0, 1, 2, 3]))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(task, torch.utils.data.DataLoader(data, batch_size=2))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert not torch.equal(task.network.fc.weight, before)
    norms = [layer for layer in task.network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and all(layer.running_mean.any() for layer in norms)
    assert torch.equal(Task.load_from_checkpoint(tmp_path / "last.ckpt").network.fc.weight, task.network.fc.weight)


def test_hub_mixin(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")

    class Model(nn.Module, hub.PyTorchModelHubMixin):  # type: ignore[misc, name-defined]
        def __init__(self, spec: str) -> None:
            super().__init__()
            self.network = archdsl.loads(spec).to_torch()

        def forward(self, x: Any) -> Any:
            return self.network(x)

    model = Model(spec=SPEC).eval()
    model.network.fc.weight.data.mul_(2)
    model.save_pretrained(tmp_path)
    assert torch.equal(Model.from_pretrained(tmp_path).eval()(images()), model(images()))


# --- attributions -------------------------------------------------------------------------------------------------


@cache
def both() -> tuple[Any, Any]:
    """torchvision's ResNet-18 and ours with its weights. Norms that change something, ReLUs that keep their inputs:
    DeepLift refuses the module that torchvision runs twice, and ReLUs that overwrite."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18().eval()
    for part in theirs.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    for block in theirs.modules():
        if type(block).__name__ == "BasicBlock":
            block.relu2 = nn.ReLU()
            block.forward = _twice.__get__(block)
    return archdsl.load("resnet18").to_torch(theirs.state_dict()), theirs


def _twice(block: Any, x: Any) -> Any:
    """torchvision's BasicBlock, with a module for each ReLU."""
    out = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
    return block.relu2(out + (x if block.downsample is None else block.downsample(x)))


def attributed(method: str, module: Any, x: Any) -> Any:
    from captum import attr

    if method == "LayerGradCam":
        return attr.LayerGradCam(module, module.layer4).attribute(x, target=3)
    more = {"n_steps": 4} if method == "IntegratedGradients" else {}
    return getattr(attr, method)(module).attribute(x, target=3, **more)


@pytest.mark.parametrize("method", ["Saliency", "IntegratedGradients", "GuidedBackprop", "DeepLift", "LayerGradCam"])
def test_captum(method: str) -> None:
    pytest.importorskip("captum")
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    ours, theirs = both()
    made, wanted = (attributed(method, module, x.clone().requires_grad_()) for module in (ours, theirs))
    assert wanted.abs().max() > 0
    assert same(made.detach(), wanted.detach(), 1e-4 * float(wanted.abs().max()))
    if method == "GuidedBackprop":
        assert not same(made.abs(), attributed("Saliency", ours, x.clone().requires_grad_()), 1e-2)
    if method == "DeepLift":  # the attributions sum to the change of the output
        with torch.no_grad():
            change = float(ours(x)[0, 3] - ours(torch.zeros_like(x))[0, 3])
        assert float(made.sum()) == pytest.approx(change, rel=1e-2, abs=1e-3)


# --- the page -----------------------------------------------------------------------------------------------------


def test_each_row_of_the_page_has_a_test() -> None:
    page = (ROOT / "docs" / "pytorch.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named == {name for name in globals() if name.startswith("test_") and "page" not in name}
