"""Counts, peak memory and receptive fields, against numbers worked out by hand and published ones."""

from __future__ import annotations

from random import Random
from unittest.mock import Mock

import pytest

import archdsl
from archdsl.analysis import count as counts
from archdsl.analysis.count import count, count_nodes, flops
from archdsl.analysis.memory import live_values, peak_memory, storages
from archdsl.analysis.receptive_field import feature_field, receptive_fields
from archdsl.graph import Graph
from archdsl.ops import (
    Add,
    AvgPool,
    Bn,
    Concat,
    Conv,
    Deconv,
    Dropout,
    DwConv,
    Fc,
    Flatten,
    Gap,
    MaxPool,
    Mul,
    Rbf,
    Relu,
    Slice,
    Upsample,
)
from tests.support.handmade import Hand


def small() -> Graph:
    """conv 3x3 8 (bias) on 3x6x6, bn, relu, 2x2 max pool, flatten, dropout, fc 5."""
    net = Hand((3, 6, 6))
    for op in (
        Conv(out=8, kernel=(3, 3)),
        Bn(),
        Relu(),
        MaxPool(kernel=(2, 2)),
        Flatten(),
        Dropout(),
        Fc(out=5),
    ):
        net.add(op)
    return net.graph()


def test_totals_by_hand() -> None:
    totals = count(small())
    assert totals.params == (8 * 3 * 9 + 8) + 16 + (72 * 5 + 5)
    assert totals.buffers == 8 + 8 + 1
    assert totals.macs == 36 * 8 * 3 * 9 + 72 * 5
    assert totals.flops == 2 * totals.macs
    assert totals.activations == 3 * 8 * 36 + 8 * 9 + 5
    assert totals.weight_bytes == 4 * (totals.params + 16) + 8
    assert totals.depth == 2
    assert totals.aux_params == 0


def test_equal_layers_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = archdsl.loads(
        "input: 8x6x6\nnet:\n  a: 4 * 3x3 conv 8 bn\n  d: 3x3 conv 16\n  e: 3x3 conv 8\n  f: 3x3 conv 16"
        "\n  g: 3x3 conv 8\n  x: 3x3 conv 8\n  y: again x\n"
    )
    apart = tuple(map(counts.count_node, net.graph.nodes))
    counted = Mock(wraps=counts.count_node)
    monkeypatch.setattr(counts, "count_node", counted)
    assert count_nodes(net.graph) == apart
    assert counted.call_count == 7, "input, conv and bn of a, d, e, x, y; f equals d, g equals e"


def test_a_batch_multiplies_work_and_memory_only() -> None:
    one, eight = count(small()), count(small(), batch=8)
    assert (eight.params, eight.buffers, eight.weight_bytes, eight.depth) == (
        one.params,
        one.buffers,
        one.weight_bytes,
        one.depth,
    )
    assert eight.macs == 8 * one.macs
    assert eight.flops == 8 * one.flops
    assert eight.activations == 8 * one.activations
    assert eight.peak_memory_bytes == 8 * one.peak_memory_bytes
    with pytest.raises(ValueError, match="batch of 0"):
        count(small(), batch=0)


def test_a_flop_is_half_a_mac() -> None:
    assert flops(4_089_184_256) == 8_178_368_512


def test_aux_heads_are_counted_apart() -> None:
    net = Hand((4, 5, 5))
    trunk = net.add(Conv(out=4, kernel=(1, 1)))
    net.add(Gap(), trunk, training=True)
    net.add(Flatten(), training=True)
    head = net.add(Fc(out=3), training=True)
    out = net.add(Gap(), trunk)
    totals = count(net.graph({"output": out}, aux={"aux": head}))
    assert totals.params == 4 * 4 + 4
    assert totals.aux_params == 4 * 3 + 3
    assert totals.macs == 16 * 25
    assert totals.activations == 100 + 4
    assert totals.depth == 1


def test_depth_is_the_longest_path_of_weighted_layers() -> None:
    net = Hand((4, 8, 8))
    short = net.add(Conv(out=4, kernel=(1, 1)), 0)
    long = net.add(DwConv(kernel=(3, 3)), net.add(Deconv(out=4, kernel=(3, 3)), 0))
    merged = net.add(Add(), short, long)
    net.add(Gap(), merged)
    net.add(Flatten())
    net.add(Rbf(out=2, centers=((1.0,) * 4, (-1.0,) * 4)))
    totals = count(net.graph())
    assert totals.depth == 3
    assert totals.buffers == 8, "fixed centres are stored but not trained"


# --- memory ----------------------------------------------------------------------------------------------


def test_a_chain_holds_two_tensors() -> None:
    net = Hand((10,))
    net.add(Fc(out=20))
    net.add(Fc(out=30))
    net.add(Fc(out=5))
    graph = net.graph()
    assert live_values(graph) == (10, 10 + 20, 20 + 30, 30 + 5)
    assert peak_memory(graph) == (50 * 4, 2)


def test_a_shortcut_stays_alive_until_the_addition() -> None:
    net = Hand((2, 4, 4))
    body = net.add(Conv(out=2, kernel=(3, 3)), 0)
    body = net.add(Relu(), body)
    net.add(Add(), body, 0)
    net.add(Gap())
    assert live_values(net.graph()) == (32, 64, 96, 96, 32 + 2)


def test_views_share_and_keep_their_source() -> None:
    net = Hand((2, 4, 4))
    conv = net.add(Conv(out=2, kernel=(1, 1)), 0)
    flat = net.add(Flatten(), conv)
    drop = net.add(Dropout(), flat)
    net.add(Fc(out=3), drop)
    graph = net.graph()
    assert storages(graph) == (0, 1, 1, 1, 4)
    assert live_values(graph) == (32, 64, 32, 32, 35)


def test_concat_copies_and_so_does_a_slice() -> None:
    net = Hand((2, 4, 4))
    a = net.add(Conv(out=3, kernel=(1, 1)), 0)
    b = net.add(Conv(out=1, kernel=(1, 1)), 0)
    both = net.add(Concat(), a, b)
    net.add(Slice(start=0, end=1), both)
    assert live_values(net.graph()) == (32, 32 + 48, 32 + 48 + 16, 48 + 16 + 64, 64 + 16)


def test_outputs_stay_and_nothing_runs_unread_nodes() -> None:
    net = Hand((1, 4, 4))
    first = net.add(Relu(), 0)
    net.add(Relu(), first)
    last = net.add(Gap(), first)
    graph = net.graph({"output": first, "output1": last})
    assert live_values(graph) == (16, 32, 0, 17)


def test_all_inputs_are_alive_from_the_start() -> None:
    net = Hand((1, 4, 4), (10,))
    net.add(Gap(), 0)
    flat = net.add(Flatten())
    fc = net.add(Fc(out=2), 1)
    assert live_values(net.graph({"a": flat, "b": fc})) == (26, 26, 27, 11, 13)


def test_training_nodes_need_no_memory() -> None:
    net = Hand((1, 4, 4))
    trunk = net.add(Relu(), 0)
    head = net.add(Gap(), trunk, training=True)
    out = net.add(Relu(), 0)
    assert live_values(net.graph({"output": out}, aux={"aux": head})) == (16, 32, 0, 32)


# --- nodes that nothing runs ---------------------------------------------------------------------------

UNREAD = """
input: 3x8x8
net:
  stem: 3x3 conv 4
  lost: {a: 3x3 conv 8 <- stem, b: 5x5 conv 16}
  pool: gap <- stem
  fc: fc 2
"""


def test_a_node_that_nothing_runs_costs_parameters_only() -> None:
    """As torch counts it: parameters of the module, multiply-accumulates as it runs."""
    torch = pytest.importorskip("torch")
    flop_counter = pytest.importorskip("torch.utils.flop_counter")
    network, without = (
        archdsl.loads(UNREAD),
        archdsl.loads(UNREAD.replace("  lost: {a: 3x3 conv 8 <- stem, b: 5x5 conv 16}\n", "")),
    )
    module, totals, kept = network.to_torch(), network.totals, without.totals
    with flop_counter.FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, 8, 8))
    assert totals.flops == counter.get_total_flops()
    assert totals.params == sum(p.numel() for p in module.parameters())
    assert totals.params == kept.params + (8 * 4 * 9 + 8) + (16 * 8 * 25 + 16)
    assert totals._replace(params=0, weight_bytes=0) == kept._replace(params=0, weight_bytes=0)
    assert [n.path for n in network.graph.nodes if n.id in network.graph.unread] == ["lost.a", "lost.b"]


def test_an_auxiliary_head_is_no_unread_node() -> None:
    network = archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 4, b: gap}\naux: {head: {from: a, do: gap}}")
    assert not network.graph.unread


# --- receptive field -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("alexnet", 195),
        ("vgg16", 212),
        ("resnet50_v1", 483),
        ("resnet101_v1", 1027),
        ("resnet152_v1", 1507),
        ("inception_v3", 1311),
        ("inception_v4", 2071),
        ("inception_resnet_v2", 3039),
        ("mobilenet_v1", 315),
    ],
)
def test_receptive_fields_as_published(name: str, pixels: int) -> None:
    """Araujo et al. 2019, "Computing receptive fields of convolutional neural networks", table 1."""
    assert feature_field(archdsl.load(name).graph) == (pixels, pixels)


def test_receptive_field_of_a_chain() -> None:
    net = Hand((3, 64, 64))
    net.add(Conv(out=4, kernel=(7, 7), stride=(2, 2)))
    net.add(Relu())
    net.add(MaxPool(kernel=(3, 3), stride=(2, 2), pad=1))
    net.add(Conv(out=4, kernel=(3, 3), dilation=(2, 2)))
    net.add(Conv(out=4, kernel=(1, 7)))
    net.add(Gap())
    net.add(Flatten())
    assert receptive_fields(net.graph()) == (
        (1, 1),
        (7, 7),
        (7, 7),
        (11, 11),
        (27, 27),
        (27, 51),
        None,
        None,
    )


def test_merges_take_the_largest_field() -> None:
    net = Hand((3, 32, 32))
    small = net.add(Conv(out=4, kernel=(1, 1)), 0)
    wide = net.add(Conv(out=4, kernel=(5, 3)), 0)
    both = net.add(Concat(), small, wide)
    gate = net.add(Gap(), small)
    gated = net.add(Mul(), both, net.add(Conv(out=8, kernel=(1, 1)), gate))
    fields = receptive_fields(net.graph())
    assert fields[both] == (5, 3)
    assert fields[gate] is None
    assert fields[gated] is None


def test_upsampling_brings_neighbours_closer() -> None:
    net = Hand((1, 32, 32))
    net.add(MaxPool(kernel=(2, 2)))
    up = net.add(Upsample(scale=(2, 2)))
    conv = net.add(Conv(out=1, kernel=(3, 3)))
    fields = receptive_fields(net.graph())
    assert fields[up] == (2, 2)
    assert fields[conv] == (4, 4)


def test_an_adaptive_pool_has_the_window_that_it_needs() -> None:
    net = Hand((1, 14, 14))
    net.add(AvgPool(kernel=(7, 7), adaptive=True))
    net.add(Conv(out=1, kernel=(3, 3)))
    assert receptive_fields(net.graph()) == ((1, 1), (2, 2), (6, 6))


def test_a_vector_has_no_field() -> None:
    net = Hand((10,))
    net.add(Fc(out=3))
    assert receptive_fields(net.graph()) == (None, None)


def test_passes_are_not_recursive() -> None:
    net = Hand((1, 2, 2))
    for _ in range(20_000):
        net.add(Relu())
    graph = net.graph()
    assert count(graph).activations == 80_000
    assert len(count_nodes(graph)) == 20_001
    assert receptive_fields(graph)[-1] == (1, 1)


# --- independent oracles ---------------------------------------------------------------------------------


def seen(chain: list[tuple[int, int, int, int]], size: int) -> int:
    """Pixels of a row of `size` on which the middle value behind a chain of (kernel, stride, pad, dilation) depends."""
    widths = [size]
    for kernel, stride, pad, dilation in chain:
        widths.append((widths[-1] + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1)
    needed = {widths[-1] // 2}
    for (kernel, stride, pad, dilation), width in zip(reversed(chain), reversed(widths[:-1]), strict=True):
        taps = {i * stride - pad + dilation * k for i in needed for k in range(kernel)}
        needed = {t for t in taps if 0 <= t < width}
    return max(needed) - min(needed) + 1


@pytest.mark.parametrize("seed", range(30))
def test_receptive_fields_match_a_search(seed: int) -> None:
    random = Random(seed)
    axes = 1 + seed % 3
    chains: list[list[tuple[int, int, int, int]]] = [[] for _ in range(axes)]
    net = Hand((1, *[2000] * axes))
    for _ in range(random.randint(1, 6)):
        for chain in chains:
            kernel, stride, dilation = (
                random.choice((1, 2, 3, 5, 7)),
                random.choice((1, 1, 2, 3)),
                random.choice((1, 2)),
            )
            chain.append((kernel, stride, random.randint(0, kernel // 2), dilation))
        kernels, strides, pads, dilations = zip(*(chain[-1] for chain in chains), strict=True)
        net.add(Conv(out=1, kernel=kernels, stride=strides, pad=pads * 2, dilation=dilations))
    assert receptive_fields(net.graph())[-1] == tuple(seen(chain, 2000) for chain in chains)


@pytest.mark.parametrize("seed", range(20))
def test_peak_memory_matches_a_simulation(seed: int) -> None:
    """Frees every tensor as soon as no later node, and no output, needs it; keeps sets where the pass keeps sums."""
    random = Random(seed)
    net = Hand((random.randint(1, 4), 6, 6))
    for _ in range(25):
        source = random.randrange(len(net.nodes))
        shape = net.nodes[source].shape
        same = [n.id for n in net.nodes if n.shape == shape]
        op = random.choice((Relu(), Conv(out=random.randint(1, 4), kernel=(1, 1)), Dropout(), Add(), Concat()))
        inputs = (source, random.choice(same)) if isinstance(op, (Add, Concat)) else (source,)
        net.add(op, *inputs)
    graph = net.graph({"output": len(net.nodes) - 1, "output1": random.randrange(len(net.nodes))})
    run: set[int] = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        run |= set(node.inputs) if node.id in run else set()
    holder = {n.id: n.id for n in graph.nodes}
    for node in graph.nodes:
        if isinstance(node.op, Dropout):
            holder[node.id] = holder[node.inputs[0]]
    kept = {holder[i] for i in graph.outputs.values()}
    alive: set[int] = set()
    most = 0
    for node in (n for n in graph.nodes if n.id in {*run, 0}):
        alive.add(holder[node.id])
        most = max(most, sum(int(str(graph.nodes[i].shape[0])) * 36 for i in alive))
        later = {holder[i] for n in graph.nodes[node.id + 1 :] if n.id in run for i in n.inputs}
        alive &= later | kept
    assert peak_memory(graph).bytes == 4 * most


# --- the library against what was measured elsewhere -----------------------------------------------------

MEASURED = [
    # name, params, aux params, buffers, MACs, depth: counted on torchvision 0.2x's own modules (googlenet with and
    # without its heads); densenet264: Huang et al. 2017's table, built by hand from torchvision's blocks.
    ("alexnet", 61_100_840, 0, 0, 714_188_480, 8),
    ("vgg11", 132_863_336, 0, 0, 7_609_090_048, 11),
    ("vgg16", 138_357_544, 0, 0, 15_470_264_320, 16),
    ("vgg16_bn", 138_365_992, 0, 8_461, 15_470_264_320, 16),
    ("resnet18", 11_689_512, 0, 9_620, 1_814_073_344, 18),
    ("resnet50", 25_557_032, 0, 53_173, 4_089_184_256, 50),
    ("resnet152", 60_192_808, 0, 151_579, 11_513_626_624, 152),
    ("googlenet", 6_624_904, 13_004_888 - 6_624_904, 14_617, 1_498_376_192, 22),
    ("densenet121", 7_978_856, 0, 83_769, 2_834_161_664, 121),
    ("densenet201", 20_013_928, 0, 229_257, 4_291_365_888, 201),
    ("densenet264", 33_337_704, 0, None, 5_751_653_376, None),
]


@pytest.mark.parametrize(("name", "params", "aux", "buffers", "macs", "layers"), MEASURED)
def test_the_library_counts_as_measured(
    name: str, params: int, aux: int, buffers: int | None, macs: int, layers: int | None
) -> None:
    totals = archdsl.load(name).totals
    assert (totals.params, totals.aux_params, totals.macs) == (params, aux, macs)
    assert buffers is None or totals.buffers == buffers
    assert layers is None or totals.depth == layers


@pytest.mark.parametrize(("name", "path", "pixels"), [("alexnet", "features.12", 195), ("vgg16", "features.30", 212)])
def test_published_receptive_fields(name: str, path: str, pixels: int) -> None:
    """Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", distill.pub."""
    graph = archdsl.load(name).graph
    assert receptive_fields(graph)[graph.by_path[path].id] == (pixels, pixels)


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "resnet50", "alexnet"])
def test_activations_match_torchvision(name: str) -> None:
    """Every module's output counted as torchvision's own network runs (without values), and the additions between
    them."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        model = models.get_model(name, weights=None).eval()
        image = torch.zeros(1, 3, 224, 224)
    stored: list[int] = []
    blocks = models.resnet.BasicBlock, models.resnet.Bottleneck
    for module in model.modules():
        views = isinstance(module, (torch.nn.Dropout, torch.nn.Identity))
        if isinstance(module, blocks) or (not list(module.children()) and not views):
            module.register_forward_hook(lambda m, i, output: stored.append(output.numel()))
    model(image)
    assert archdsl.load(name).totals.activations == sum(stored)
