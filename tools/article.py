"""Generates parts of `docs/article.md`: figures as papers and courses state them, and those that archdsl computes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import archdsl
from archdsl.drawing.chart.chart import ChartPoint, Plot, chart
from archdsl.library.catalog import CatalogEntry, catalog

ROOT = Path(__file__).resolve().parent.parent
CHART = (
    "alexnet_2012",
    "vgg16",
    "googlenet",
    "inception_v3",
    "resnet50",
    "resnet152",
    "inception_resnet_v2",
    "resnext50_32x4d",
    "resnext101_64x4d",
    "densenet121",
    "densenet161",
    "se_resnet50",
    "mobilenet_v2",
    "hrnet_w18",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "convnextv2_tiny",
)

AFTER = (
    "zfnet",
    "nin",
    "all_cnn_c",
    "highway10",
    "preact_resnet164",
    "wrn28_10",
    "pyramidnet110_a48",
    "fractalnet20",
    "se_resnet50",
    "mobilenet_v2",
    "efficientnet_b0",
    "repvgg_a0",
    "convnext_tiny",
    "unet",
    "fcn_resnet50",
    "vnet_monai",
    "deeplabv3_resnet50",
    "dynunet",
)


class Row(NamedTuple):
    """One figure: its subject, its value as stated, with the source, the computed value, and why they differ."""

    subject: str
    stated: str
    computed: Callable[[], str]
    note: str = ""


@cache
def net(name: str, **args: Any) -> Any:
    return archdsl.load(name, **args)


def _params(name: str, **args: Any) -> Callable[[], str]:
    return lambda: f"{net(name, **args).params:,}"


def _with_aux(name: str) -> Callable[[], str]:
    return lambda: f"{net(name).params:,}; {net(name).params + net(name).totals.aux_params:,} with the auxiliary heads"


def _op(name: str, op: str) -> Callable[[], str]:
    return lambda: str(sum(node.op.name == op and not node.training for node in net(name).nodes))


def _of(size: str, nodes: str, word: str = "") -> Callable[[], str]:
    """The parameters of a network that is written in one line."""
    return lambda: f"{archdsl.loads(f'input: {size}{chr(10)}net: {nodes}').params:,}{word}"


def _work(name: str, input: str | None = None) -> Callable[[], str]:
    """The parameters and the multiply-accumulates of a network for an input."""

    def text() -> str:
        network = archdsl.load(name, input=input)
        return f"{network.params:,} parameters, {network.macs:,} MACs"

    return text


def _filters(name: str) -> Callable[[], str]:
    """The parameters of the convolutions."""
    return lambda: (
        f"{sum(p.numel for node in net(name).nodes if node.op.name in ('conv', 'deconv') for p in node.params):,}"
    )


def _kernels(name: str) -> str:
    sizes = {node.op.kernel for node in net(name).nodes if node.op.name == "conv"}
    return ", ".join(f"{h}x{w}" for h, w in sorted(sizes))


ROWS: dict[str, tuple[Row, ...]] = {
    "perceptron": (
        Row("parameters of four pixels, five neurons, two classes", "", _params("perceptron")),
        Row("values of a colour image of 300 x 300", "", lambda: f"{3 * 300 * 300:,}"),
        Row("parameters of five neurons on that image, two classes", "", _of("3x300x300", "{h: fc 5, o: fc 2}")),
    ),
    "filter": (
        Row("weights of a 3x3 filter on one channel", "9", _of("1x300x300", "{a: 3x3 conv 1 nobias}")),
        Row("on three channels, with bias", "3 x 3 x 3 + 1 = 28", _of("3x300x300", "{a: 3x3 conv 1 bias}")),
        Row(
            "size of the output for 300 x 300, stride 1",
            "unchanged",
            lambda: f"{net('edge_filter').output[1]} with padding; 298 without",
            "unchanged only with padding",
        ),
        Row("with stride 3", "", lambda: str(net("edge_filter_stride3").output[1])),
        Row("windows of AlexNet", "", lambda: _kernels("alexnet_2012")),
    ),
    "lenet": (
        Row("parameters", "60,000 (the paper)", _params("lenet5_1998")),
        Row("as it is usually taught today", "", _params("lenet5"), "another network"),
        Row(
            "convolutions",
            "2, then 3 fully connected layers (courses)",
            _op("lenet5_1998", "conv"),
            "C5 is a convolution in the paper",
        ),
    ),
    "alexnet": (
        Row("parameters", "60 million (the paper's abstract)", _params("alexnet_2012")),
        Row("convolutions", "5 (the paper's abstract)", _op("alexnet_2012", "conv")),
    ),
    "vgg": (
        Row("parameters", "138 million (the paper's Table 2)", _params("vgg16")),
        Row("convolutions", "13 (the paper's Table 1)", _op("vgg16", "conv")),
    ),
    "inception": (
        Row(
            "Inception-v1, parameters",
            "5 million (the paper of Inception-v3)",
            _with_aux("googlenet_2014"),
            "a round number in a comparison",
        ),
        Row("as released by torchvision", "", _with_aux("googlenet"), "another network: 3x3 for 5x5, batch norm"),
        Row("Inception-v3, parameters", "less than 25 million (the paper's abstract)", _with_aux("inception_v3")),
        Row("its windows", "n x n becomes 1 x n and n x 1 (the paper)", lambda: _kernels("inception_v3")),
    ),
    "resnet": (
        Row("ResNet-50, parameters", "", _params("resnet50")),
        Row("ResNet-152, parameters", "", _params("resnet152")),
        Row("ResNet-152, weighted layers", "", lambda: str(net("resnet152").totals.depth)),
    ),
    "mixed": (
        Row("Inception-ResNet-v2 as released, parameters", "", _params("inception_resnet_v2")),
        Row("as drawn in its paper", "", _params("inception_resnet_v2_paper"), "another network"),
        Row("ResNeXt-50 (32x4d), parameters", "25.0 million (the paper's Table 1)", _params("resnext50_32x4d")),
    ),
    "densenet": (
        Row("DenseNet-121, parameters", "", _params("densenet121")),
        Row("DenseNet-121, weighted layers", "", lambda: str(net("densenet121").totals.depth)),
        Row("DenseNet-201, parameters", "", _params("densenet201")),
    ),
    "axes": (
        Row("weights of a window of 3 on one channel of a signal, an image, a volume", "", lambda: "3, 9, 27"),
        *(
            Row(f"DenseNet-121 on {size.replace('x', ' x ')}", "", _work("densenet121_monai", size))
            for size in ("1x4096", "1x96x96", "1x96x96x96")
        ),
        Row("34 layers for 29 s of an ECG at 200 Hz, Hannun et al. 2019", "", _work("ecg_resnet34")),
        Row("3-D U-Net, parameters without the batch norms", "19,069,955 (the paper)", _filters("unet3d")),
    ),
}
"""By section of the page. `stated` is empty if no source is compared."""


def part(section: str) -> str:
    """Return the table of a section, without the columns that are empty in it."""
    rows = ROWS[section]
    columns = (
        ("", "---", *(row.subject for row in rows)),
        ("as stated", "---", *(row.stated for row in rows)),
        ("archdsl", "--:", *(row.computed() for row in rows)),
        ("", "---", *(row.note for row in rows)),
    )
    lines = zip(*(column for column in columns if any(column[2:])), strict=True)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def entries() -> list[CatalogEntry]:
    """Return the networks of the chart."""
    by_name = {e.name: e for e in catalog()}
    return [by_name[name] for name in CHART]


def points() -> list[ChartPoint]:
    return [ChartPoint(e.name, e.family, e.macs, e.top1, e.params) for e in entries() if e.top1 is not None]


def summary() -> str:
    """Return the table of costs and accuracies of the chart's networks, by year."""
    lines = ["| network | year | params | MACs | layers deep | top-1 % |", "|---|--:|--:|--:|--:|---|"]
    for e in sorted(entries(), key=lambda e: e.year or 0):
        lines.append(f"| {e.name} | {e.year} | {e.params:,} | {e.macs:,} | {e.depth} | {e.top1}, {e.top1_source} |")
    return "\n".join(lines) + "\n"


def picture() -> str:
    """Return the chart as SVG: the existing file if its bubbles are current, as matplotlib's output differs by
    version."""
    old = ROOT / "docs" / "pictures" / "chart.svg"
    if old.exists() and titles(old.read_text(encoding="utf-8")) == [Plot().words(p) for p in points()]:
        return old.read_text(encoding="utf-8")
    return chart(points(), "svg", ["Top-1 as published; training and crops differ between them."]).decode()


def titles(svg: str) -> list[str]:
    """Return the title of each bubble, in the order of the points."""
    pairs = re.findall(r'<g id="ball-(\d+)"><title>(.*?)</title>', svg)
    return [title for _, title in sorted(pairs, key=lambda pair: int(pair[0]))]


def after() -> str:
    """Return the table of the networks of "Between the steps, and after them", by year."""
    by_name = {e.name: e for e in catalog()}
    lines = ["| network | year | input | params | MACs |", "|---|--:|--:|--:|--:|"]
    for e in sorted((by_name[name] for name in AFTER), key=lambda e: e.year or 0):
        lines.append(f"| {e.name} | {e.year} | {e.input} | {e.params:,} | {e.macs:,} |")
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    **{f"article_{name}": lambda name=name: part(name) for name in ROWS},  # type: ignore[misc]
    "article_after": after,
    "article_summary": summary,
}
