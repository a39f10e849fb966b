"""Captions, descriptions and alternative texts, and what PNG and PDF files record: compared with the graph itself.

Tests `drawing/model/words.py` and `drawing/picture.py`.
"""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

import archdsl
from archdsl.drawing.diagram import diagram, painter
from archdsl.drawing.model.drawing import View
from archdsl.drawing.model.words import MOST_PARTS, alt, structure
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene import Text
from archdsl.drawing.theme import LIGHT
from archdsl.graph import Graph

RESNET18 = (
    (
        "conv1: 7x7 conv, 64, /2 bn relu, gives 64 x 112 x 112; maxpool: 3x3 max pool, /2, gives 64 x 56 x 56; "
        "layer1.0 to layer1.1: 2 x basic(w=64), gives 64 x 56 x 56; layer2.0: basic(w=128, s=2), gives 128 x 28 x 28; "
        "layer2.1: basic(w=128, s=1), gives 128 x 28 x 28; layer3.0: basic(w=256, s=2), gives 256 x 14 x 14; "
        "layer3.1: basic(w=256, s=1), gives 256 x 14 x 14; layer4.0: basic(w=512, s=2), gives 512 x 7 x 7; "
        "layer4.1: basic(w=512, s=1), gives 512 x 7 x 7; avgpool: global avg pool, gives 512 x 1 x 1; "
        "fc: fc 1000, gives 1000"
    )
    .replace(" x ", " \u00d7 ")
    .replace("7x7", "7\u00d77")
    .replace("3x3", "3\u00d73")
)
"""He et al. 2015, table 1, with the names of torchvision."""


def graph_of(name: str) -> Graph:
    return archdsl.load(name).graph


def all_nodes(graph: Graph) -> range:
    return range(len(graph.nodes))


def test_the_structure_of_a_network_is_its_parts_in_order() -> None:
    graph = graph_of("resnet18")
    assert structure(graph, all_nodes(graph)) == RESNET18


def test_what_a_part_reads_is_listed_where_it_is_not_the_part_before() -> None:
    unet = graph_of("unet")
    assert "up2: up(c=256), reads down2 and up1, gives" in structure(unet, all_nodes(unet))
    block = next(scope for scope in graph_of("googlenet").root.walk() if scope.path == "inception3a")
    parts = structure(graph_of("googlenet"), range(block.first, block.end), "inception3a").split("; ")
    first = [part.partition(":")[0] for part in parts if "reads the input" in part]
    assert first == [
        "branch2.0",
        "branch3.0",
        "branch4.0",
    ]
    assert "reads branch1 and branch2.1 and branch3.1 and branch4.1, gives 256 \u00d7 28 \u00d7 28" in parts[-1]


def test_several_inputs_and_outputs_are_named() -> None:
    graph = archdsl.loads(
        """
name: two
input: {image: 3x16x16, meta: 5}
net:
  c1: 3x3 conv 16 <- image
  pool: [gap, flatten]
  m1: fc 16 relu <- meta
  both: concat <- pool, m1
  kind: fc 7
  age: fc 1 <- both
outputs: [kind, age]
"""
    ).graph
    parts = dict(part.split(": ", 1) for part in structure(graph, all_nodes(graph)).split("; "))
    assert "reads the input image" in parts["c1"] and "reads the input meta" in parts["m1"]
    volumes = painter([Request(graph)], "volumes")(LIGHT)
    for text in (volumes.shows, volumes.alt):
        assert "inputs image 3 \u00d7 16 \u00d7 16 and meta 5, outputs kind 7 and age 1" in text
    labels = [item.text for item in volumes.items() if isinstance(item, Text)]
    assert {"image", "meta", "\u2192 kind", "\u2192 age"} <= set(labels)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v3", "s3d", "inceptiontime", "lenet5_1998"])
def test_the_described_shapes_are_those_of_nodes(name: str) -> None:
    graph = graph_of(name)
    shapes = {" \u00d7 ".join(map(str, archdsl.shapes.concrete(node.shape))) for node in graph.nodes}
    described = re.findall(r", gives ([0-9 \u00d7]+?)(?:;|$)", structure(graph, all_nodes(graph)))
    assert described and set(described) <= shapes


def test_a_long_description_says_how_much_is_left_out() -> None:
    graph = graph_of("vgg16")
    assert structure(graph, all_nodes(graph)).count(";") < MOST_PARTS
    long = archdsl.loads("name: x\ninput: 3x8x8\nnet: [" + ", ".join(f"1x1 conv {n}" for n in range(1, 60)) + "]").graph
    assert structure(long, all_nodes(long)).endswith("; and 19 more parts")


def test_an_alternative_text_is_cut_after_a_part() -> None:
    text = alt("resnet18", f"facts. {RESNET18}")
    assert len(text) <= 300 and text.endswith("28 \u00d7 28; \u2026") and RESNET18.startswith(text[17:-3])
    assert alt("x", "short.") == "x: short."
    assert alt("x", "two facts. a; b", 15) == "x: two facts; \u2026", "after a sentence, and within 15 characters"
    assert alt("name", "facts without an end", 10) == "name"


@pytest.mark.parametrize("style", ["graph", "volumes", "article"])
def test_every_style_describes_the_part_that_it_draws(style: str) -> None:
    scene = painter([Request(graph_of("resnet18"), View(focus="layer2.0"))], style)(LIGHT)
    assert "230.1 k params" in scene.description and "230.1 k params" in scene.caption
    assert (
        "downsample.0: 1\u00d71 conv, 128, /2 bn, reads the input, gives 128 \u00d7 28 \u00d7 28" in scene.description
    )
    svg = diagram(graph_of("resnet18"), "svg", View(focus="layer2.0"), Options(), style).data.decode()
    assert f'-desc">{scene.description}</desc>' in svg


def test_a_caption_has_the_sentences_below_the_volumes() -> None:
    for name, sign in (
        ("resnet18", "\u00d7N: N equal blocks, one behind the other."),
        ("googlenet", "Not drawn: aux1, aux2"),
    ):
        scene = painter([Request(graph_of(name))], "volumes")(LIGHT)
        assert sign in scene.caption and sign in " ".join(item.text for item in scene.items() if isinstance(item, Text))


def test_neurons_are_described_as_a_chain() -> None:
    scene = painter([Request(graph_of("perceptron"))], "article")(LIGHT)
    assert (
        scene.description
        == "input 4, 37 params, 30 MACs. hidden: fc 5 sigmoid, gives 5; output: fc 2 softmax, gives 2."
    )


@pytest.mark.parametrize(("dpi", "style"), [(72, "graph"), (101, "volumes"), (300, "article")])
def test_a_png_has_its_size_on_paper_and_no_transparent_edge(dpi: int, style: str) -> None:
    graph = graph_of("resnet18")
    svg = diagram(graph, "svg", style=style).data.decode()
    width, height = (float(value) for value in re.findall(r'(?:width|height)="([0-9.]+)"', svg)[:2])
    image = Image.open(io.BytesIO(diagram(graph, "png", options=Options(dpi=dpi), style=style).data))
    assert [round(value) for value in image.info["dpi"]] == [dpi, dpi]
    assert image.size == (round(width * dpi / 72), round(height * dpi / 72))
    assert image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    assert image.info["Title"].startswith("resnet18") and "params" in image.info["Description"]


def test_a_pdf_has_a_title_and_a_subject_and_stays_whole() -> None:
    data = diagram(graph_of("resnet18"), "pdf", options=Options(title="R\u00e9seau <18>")).data
    texts = {
        key.decode(): bytes.fromhex(value.decode()).decode("utf-16")
        for key, value in re.findall(rb"/(Title|Subject) <([0-9a-f]+)>", data)
    }
    assert texts["Title"] == "R\u00e9seau <18>" and "11.69 M params" in texts["Subject"]
    table = int(re.findall(rb"startxref\n(\d+)", data)[-1])
    assert data[table : table + 5] == b"xref\n"
    entries = re.findall(rb"(\d{10}) 00000 n", data[table:])
    numbers = [int(re.match(rb"(\d+) 0 obj", data[int(entry) : int(entry) + 20])[1]) for entry in entries]  # type: ignore[index]
    assert numbers == list(range(1, len(entries) + 1))
