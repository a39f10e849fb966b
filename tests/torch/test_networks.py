"""Live modules: hierarchy, names, modes, hooks, and what PyTorch does with a module. And torchvision's own.

Tests `backends/torch/lower.py` and `backends/torch/steps.py`.
"""

from __future__ import annotations

import copy
import textwrap
from functools import partial
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl.backends.weights import initial
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from archdsl.shapes import concrete

torch = pytest.importorskip("torch")
nn = torch.nn

from archdsl.backends.torch import to_source  # noqa: E402
from archdsl.backends.torch.module import build, to_torch  # noqa: E402

FAMILIES = ["vgg16", "resnet50", "googlenet", "densenet121"]


def graph_of(text: str, input: str = "8x16x16") -> Graph:
    return archdsl.loads(f"name: net\ninput: {input}\n{textwrap.dedent(text)}").graph


RESIDUAL = """
    defaults: {conv: bn relu, naming: sibling}
    blocks:
      basic(w, s=1):
        residual:
          conv1: 3x3 conv w /s
          conv2: 3x3 conv w linear
        then: relu
    net:
      stem: [3x3 conv 8, 2x2 maxpool]
      layer1: 2 * basic(8)
      layer2: 2 * basic(16, 2 if first else 1)
      grown: {dense: {conv1: 3x3 conv 4}, repeat: 3, as: "layer{1}"}
      gap: gap
      fc: fc 10
"""
SEVERAL = """
    net:
      stem: 3x3 conv 8 relu
      body: {a: 3x3 conv 8, b: relu, c: 3x3 conv 4}
      pool: gap
      fc: fc 5
    aux:
      head: {from: body.b, do: {gap: gap, fc: fc 3}, weight: 0.3}
      tail: {from: stem, do: gap, weight: 0.1}
    outputs: {logits: fc, inner: body.a}
"""


def sample(graph: Graph, count: int = 2) -> list[Any]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(count, *concrete(graph.nodes[i].shape), generator=random) for i in graph.inputs]


# --- torchvision ------------------------------------------------------------------------------------------


def theirs(name: str) -> Any:
    models = pytest.importorskip("torchvision").models
    more = {"init_weights": False, "aux_logits": True, "transform_input": False} if name == "googlenet" else {}
    network = getattr(models, name)(**more)
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
    return network.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_torchvision(name: str) -> None:
    network, graph = theirs(name), archdsl.load(name).graph
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(to_source(graph), name, "exec"), space)
    live, printed = build(graph), space["build"]().eval()
    for ours in (live, printed):
        ours.load_state_dict(network.state_dict(), strict=True, assign=True)
    live.eval()
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    for dtype, most in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        with torch.no_grad():
            wanted = network.to(dtype)(x.to(dtype))
            made = live.to(dtype)(x.to(dtype))
            assert torch.equal(made, printed.to(dtype)(x.to(dtype)))
        assert (made - wanted).abs().max() / wanted.abs().max() <= most


# --- the tree of modules ----------------------------------------------------------------------------------


def test_hierarchy() -> None:
    network = build(graph_of(RESIDUAL))
    kinds = {path: type(module).__name__ for path, module in network.named_modules()}
    assert kinds[""] == "Net"
    assert kinds["stem"] == kinds["layer1"] == kinds["layer2.0.downsample"] == "Sequential"
    assert kinds["layer2.0"] == "BasicWithDownsample"
    assert kinds["layer2.1"] == "Basic"
    assert kinds["layer2.0.downsample.0"] == "Conv2d"
    assert kinds["layer2.0.conv1_relu"] == kinds["layer2.0.relu"] == "ReLU"
    assert kinds["grown"] == "DenseBlock"


def test_names_of_implied_activations() -> None:
    """Each is a child of its own, beside children of the same name, and moves no index of a list."""
    network = build(
        graph_of("""
            net:
              a: {relu: 1x1 conv 8 relu, conv1_relu: 1x1 conv 8, conv1: 1x1 conv 8 relu}
              x: {residual: [1x1 conv 8 elu]}
              b: [3x3 conv 4 tanh, 3x3 conv 4, {residual: [3x3 conv 4 tanh, 3x3 conv 4], then: relu}]
              two-words: 3x3 conv 4 relu
        """)
    )
    found = {path for path, part in network.named_modules() if type(part).__name__ in ("ReLU", "ELU", "Tanh")}
    names = "a.relu_relu a.conv1_relu_2 x.elu_0 b.tanh_0 b.2.tanh_0 b.2.relu two_words_relu"
    assert found == set(names.split())
    assert list(network.b._modules)[:3] == ["0", "1", "2"]
    assert isinstance(network.b[1], nn.Conv2d)
    assert list(network.state_dict())[:2] == ["a.relu.weight", "a.relu.bias"]


def test_dotted_names_keep_the_order_of_the_keys() -> None:
    """Optimisers number the parameters in this order."""
    text = "net: {a: {c1.conv: 3x3 conv 8, n.b: bn, c2.conv: 3x3 conv 8, plain: 1x1 conv 8, c1.last: fc 3}}"
    for network in (build(graph_of(text)), to_torch(graph_of(text))):
        found = list(dict.fromkeys(key.rpartition(".")[0] for key in network.state_dict()))
        assert found == ["a.c1.conv", "a.c1.last", "a.n.b", "a.c2.conv", "a.plain"]


def test_keys_and_shapes() -> None:
    for name in (
        "resnet50",
        "googlenet",
        "densenet121",
        "lenet5_1998",
        "edge_filter",
        "regnet_y_400mf",
        "convnext_tiny",
    ):
        graph = archdsl.load(name).graph
        state = build(graph).state_dict()
        assert {k: tuple(v.shape) for k, v in state.items()} == {t.key: t.param.shape for t in graph.tensors}
        assert all(tensor.is_meta for tensor in state.values())
        assert all(str(state[t.key].dtype) == f"torch.{t.param.dtype}" for t in graph.tensors)


def test_what_is_trained() -> None:
    for name in ("resnet50", "edge_filter", "lenet5_1998"):
        graph = archdsl.load(name).graph
        trained = {k for k, p in build(graph).named_parameters() if p.requires_grad}
        assert trained == {t.key for t in graph.tensors if t.param.trained}


def shape_into(shapes: dict[str, tuple[int, ...]], path: str, module: Any, inputs: Any, output: Any) -> None:
    shapes[path] = tuple(getattr(output, "shape", ()))


def test_every_node_gives_its_shape_and_every_block_runs() -> None:
    for graph in (graph_of(RESIDUAL), graph_of(SEVERAL), archdsl.load("shufflenet_v2_x1_0").graph):
        network = to_torch(graph).train()
        shapes: dict[str, tuple[int, ...]] = {}
        for path, module in network.named_modules():
            keep = partial(shape_into, shapes, path)
            module.register_forward_hook(keep)
        network(*sample(graph))
        assert set(shapes) == {path for path, _ in network.named_modules()}
        for path, shape in shapes.items():
            if path in graph.by_path:
                assert tuple(shape[1:]) == concrete(graph.by_path[path].shape), path


def test_a_hook_changes_the_output() -> None:
    graph = graph_of(RESIDUAL)
    network = to_torch(graph)
    (x,) = sample(graph)
    before = network(x)
    network.layer1[1].register_forward_hook(lambda module, inputs, output: output * 2)
    assert not torch.allclose(network(x), before)


def test_names_that_are_no_attributes() -> None:
    graph = graph_of("""
        net:
          stage: {block1-0: [3x3 conv 8, relu], block1-1: [3x3 conv 8, relu], c: 'add <- block1-0, block1-1'}
          list: [3x3 conv 8, {residual: {conv: 3x3 conv 8}}, scale 0.5]
    """)
    network = to_torch(graph)
    assert set(network.state_dict()) == {t.key for t in graph.tensors}
    assert network.state_dict()["list.2"].flatten().tolist() == [0.5] * 8
    network(*sample(graph))


# --- outputs and modes ------------------------------------------------------------------------------------


def test_one_output_is_a_tensor() -> None:
    graph = graph_of(RESIDUAL)
    network = to_torch(graph)
    assert network(*sample(graph)).shape == (2, 10)
    assert network.train()(*sample(graph)).shape == (2, 10)


def test_several_outputs_are_a_named_tuple() -> None:
    graph = graph_of(SEVERAL)
    network = to_torch(graph)
    made = network(*sample(graph))
    assert made._fields == ("logits", "inner")
    trained = network.train()(*sample(graph))
    assert trained._fields == ("logits", "inner", "head", "tail")
    assert [tuple(t.shape[1:]) for t in trained] == [(5,), (8, 16, 16), (3,), (8, 1, 1)]
    assert torch.equal(trained.logits, made.logits)


def test_auxiliary_heads_run_in_training_only() -> None:
    graph = archdsl.load("googlenet").graph
    network = to_torch(graph)
    ran = []
    network.aux1.register_forward_hook(lambda *_: ran.append("aux1"))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert isinstance(network(x), torch.Tensor)
        assert not ran
        made = network.train()(x)
    assert ran == ["aux1"]
    assert [tuple(t.shape) for t in made] == [(2, 1000)] * 3


def test_several_inputs() -> None:
    text = "net: {a: gap <- image, flat: flatten, c: 'concat <- flat, meta', fc: fc 3}"
    graph = graph_of(text, input="{image: 3x8x8, meta: 4}")
    network = to_torch(graph)
    image, meta = sample(graph)
    assert network(meta=meta, image=image).shape == (2, 3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'meta'"):
        network(torch.zeros(1, 3, 8, 8))


def test_other_sizes() -> None:
    network = to_torch(graph_of(RESIDUAL))
    assert network(torch.randn(1, 8, 32, 48)).shape == (1, 10)


def test_gradients_reach_every_weight() -> None:
    graph = graph_of(RESIDUAL)
    network = to_torch(graph).train()
    network(*sample(graph)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


# --- what PyTorch does with modules -----------------------------------------------------------------------


def test_deepcopy() -> None:
    for graph in (graph_of(RESIDUAL), graph_of(SEVERAL)):
        network = to_torch(graph)
        copied = copy.deepcopy(network)
        for p in copied.parameters():
            p.data.mul_(2)
        x = sample(graph)
        first, second = network(*x), copied(*x)
        assert type(first) is type(second)
        assert not torch.equal(first[0], second[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strict", [True, False])
def test_export(strict: bool) -> None:
    for graph in (graph_of(RESIDUAL), graph_of(SEVERAL)):
        network, x = to_torch(graph), tuple(sample(graph))
        program = torch.export.export(network, x, strict=strict)
        made = program.module()(*x)
        for mine, other in zip(
            torch.utils._pytree.tree_leaves(network(*x)), torch.utils._pytree.tree_leaves(made), strict=True
        ):
            assert torch.equal(mine, other)


@pytest.mark.filterwarnings("ignore")
def test_compile_in_one_graph() -> None:
    graph = graph_of(RESIDUAL)
    network, x = to_torch(graph), sample(graph)
    with torch.no_grad():
        assert torch.equal(torch.compile(network, backend="eager", fullgraph=True)(*x), network(*x))


def test_double() -> None:
    graph = graph_of(RESIDUAL)
    assert to_torch(graph).double()(*[x.double() for x in sample(graph)]).dtype is torch.float64


def test_values_are_let_go() -> None:
    """Each tensor is freed when its last reader has run, as local variables would be."""
    import weakref

    graph = graph_of("net: {a: 3x3 conv 8, b: 3x3 conv 8, c: 3x3 conv 8, d: 'add <- b, c'}")
    network = to_torch(graph)
    alive: dict[str, Any] = {}
    seen: list[bool] = []
    network.a.register_forward_hook(lambda m, i, o: alive.update(a=weakref.ref(o)))
    network.c.register_forward_pre_hook(lambda m, i: seen.append(alive["a"]() is None))
    with torch.no_grad():
        network(*sample(graph))
    assert seen == [True]


# --- weights ----------------------------------------------------------------------------------------------


def test_the_start_is_the_projects_own() -> None:
    graph = graph_of(RESIDUAL)
    for seed in (None, 3):
        state, wanted = to_torch(graph, seed=seed).state_dict(), initial(graph, seed or 0)
        assert all(np.array_equal(state[key].numpy(), wanted[key]) for key in wanted)


def test_given_weights_are_copied() -> None:
    graph = graph_of(RESIDUAL)
    given = {key: np.array(value) for key, value in initial(graph, 1).items()}
    network = to_torch(graph, given)
    assert not network.training
    given["fc.bias"][:] = 7
    given["fc.weight"].flags.writeable = False
    to_torch(graph, given).fc.weight.data.zero_()
    assert network.fc.bias.abs().max() == 0
    assert torch.equal(to_torch(graph, network.state_dict())(*sample(graph)), network(*sample(graph)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("fc.bias"), "1 missing (`fc.bias`)"),
        (lambda w: w.update(other=w["fc.bias"]), "1 unknown (`other`)"),
        (lambda w: w.update({"fc.bias": w["fc.bias"][:3]}), "`fc.bias` has the shape 3; this network needs 10"),
    ],
)
def test_weights_that_do_not_fit(change: Any, said: str) -> None:
    graph = graph_of(RESIDUAL)
    given = dict(initial(graph))
    change(given)
    with pytest.raises(ArchError, match="E0603") as info:
        to_torch(graph, given)
    assert said in str(info.value)


def test_build_on_a_device() -> None:
    graph = archdsl.load("lenet5_1998").graph
    network = build(graph, "cpu")
    assert not any(t.is_meta for t in [*network.parameters(), *network.buffers()])
    network.load_state_dict({key: torch.from_numpy(value) for key, value in initial(graph).items()}, strict=True)
    x = sample(graph)
    assert torch.equal(network(*x), to_torch(graph)(*x))


@pytest.mark.parametrize("device", [None, "cpu", "meta"])
@pytest.mark.parametrize("weights", [False, True])
def test_every_module_is_in_evaluation_mode(device: str | None, weights: bool) -> None:
    network = archdsl.loads("input: 3x8x8\nnet: [3x3 conv 4 bn relu, dropout 0.5, gap, fc 2]")
    source = network.weights() if weights else None
    modules = [network.to_torch(source, device=device), *([build(network.graph, device)] if device else [])]
    for module in modules:
        assert not any(part.training for part in module.modules())
        assert {tensor.device.type for tensor in module.state_dict().values()} == {device or "cpu"}
