"""The JSON Schema: right specs validate, wrong ones fail where the mistake is, and the committed copy is current.

Tests `language/section_models.py`, `cli/schema.py`, `language/schema/sections.py` and `language/schema/values.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema.exceptions import best_match

import archdsl
from archdsl.backends.spec.rewrite import flat_text, formatted, long_text
from archdsl.cli import main
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, HEADS, TOP_LEVEL
from archdsl.language.schema.json_schema import schema, schema_text
from archdsl.language.schema.models import DocumentForm
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Seq, Tree, decode, parse, read
from archdsl.spec.find import library_files
from archdsl.spec.open import from_source, open_spec
from tests.support.places import DOCS
from tests.support.random_specs import texts

COMMITTED = DOCS / "archdsl.schema.json"
SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def plain(tree: Tree) -> Any:
    """What a JSON document would hold."""
    if isinstance(tree, Map):
        return {key: plain(entry.value) for key, entry in tree.entries.items()}
    return [plain(item) for item in tree.items] if isinstance(tree, Seq) else tree.value


def data(text: str) -> Any:
    return plain(parse(decode(text.encode(), "test.yaml")))


def complaint(document: Any) -> tuple[str, str] | None:
    """Where the best of the errors is, and what it says."""
    found = best_match(VALIDATOR.iter_errors(document))
    return None if found is None else (found.json_path, found.message)


def test_the_committed_copy_is_what_the_command_prints(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if request.config.getoption("--update-goldens"):
        COMMITTED.write_text(schema_text(), encoding="utf-8")
    with pytest.raises(SystemExit) as done:
        main(["schema"])
    assert done.value.code == 0
    assert capsys.readouterr().out == COMMITTED.read_text(encoding="utf-8"), "run pytest --update-goldens"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    names = set(SCHEMA["$defs"])
    used = set(re.findall(r'"#/\$defs/([^"/]+)', schema_text()))
    assert used == names


def test_it_has_every_key_and_every_kind() -> None:
    definitions = SCHEMA["$defs"]
    assert set(definitions["document"]["properties"]) == set(TOP_LEVEL) == set(DocumentForm.model_fields)
    assert set(definitions["node_op"]["properties"]["op"]["enum"]) == set(OPS_BY_NAME)
    for kind, op in OPS_BY_NAME.items():
        assert set(definitions[f"op_{kind}"]["properties"]) - {"norm", "act"} == {"op", *COMMON_KEYS, *op.model_fields}
    for head in set(HEADS) - {"op"}:
        assert set(definitions[f"node_{head}"]["properties"]) == set(COMPOSITE_KEYS[head])


def test_all_that_an_editor_shows_is_described() -> None:
    definitions = SCHEMA["$defs"]
    for kind, op in OPS_BY_NAME.items():
        for name in op.model_fields:
            assert definitions[f"op_{kind}"]["properties"][name]["description"], f"{kind}.{name}"
    for name in ("document", "paper", "claims"):
        for key, field in definitions[name]["properties"].items():
            assert field.get("description"), f"{name}.{key}"


@pytest.mark.parametrize("path", library_files(), ids=lambda p: p.stem)
def test_the_library_validates(path: Path) -> None:
    assert complaint(plain(parse(read(path)))) is None


@pytest.mark.parametrize("name", ["googlenet", "resnext50_32x4d", "shufflenet_v2_x1_0", "edge_filter", "vgg16_bn"])
def test_what_is_expanded_validates(name: str) -> None:
    for write in (long_text, flat_text):
        assert complaint(data(write(open_spec(name)))) is None


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts())
def test_random_specs_validate(text: str) -> None:
    source = decode(text.encode(), "random.yaml")
    for spec in (text, formatted(source), long_text(from_source(source))):
        assert complaint(data(spec)) is None


RIGHT = [
    "input: 784\nnet: fc 10",
    "input: [3, H=64, W=64]\nnet: relu",
    "input: 12x5000\nnet: {a: 15 conv 64 /2, b: 2 maxpool, c: conv 8 kernel=3}",
    "input: 1x16x16x16\nnet: {a: 3x3x3 conv 64 /1x2x2, b: {op: maxpool, kernel: [1, 2, 2], pad: [0, 1, 1, 0, 1, 1]}}",
    "input: [1, D=16, 16, 16]\nnet: {a: {op: conv, out: 2, kernel: [3], stride: [2], pad: [1, 0]}}",
    "input: {a: 3x8x8, b: 4}\nnet: {x: gap <- a}",
    "archdsl: 1\ninput: 3x8x8\nnet: [relu]",
    (
        "input: 3x8x8\nargs: {k: {type: int, default: 4, min: 1, max: 9, doc: width}, n: [1, [2]], f: relu, t:"
        " true}\nnet: relu"
    ),
    "input: 3x8x8\nnet: {.branches: relu, _x: relu}",
    "input: 3x8x8\nnet: {a: {op: conv, out: 4, kernel: 3, pad: same, norm: {op: bn, eps: 0.01}, act: none}}",
    "input: 3x8x8\nnet: {a: {op: conv, out: 1, kernel: [2, 2], weight: [[1, 0.5], [x, 1]], bias: [0]}}",
    "input: 3x8x8\nnet: {a: {op: fc, out: 4, repeat: n, as: 'x{0}', from: [a.b, c], when: a > b, doc: text}}",
    "input: 3x8x8\nnet: {a: {inception: [relu, {x: relu}], merge: m, split: 2, then: relu}}",
    "input: 3x8x8\nnet: relu\npreprocess: {resize: 256, crop: [224, 224], mean: 0.5, std: [0.2], layout: L}",
    (
        "input: 3x8x8\nnet: relu\noutputs: x\nlabels: labels.txt\nclaims: {params: {value: 1.0M, source: x}, macs: 4,"
        " top1: 78.1%}"
    ),
    "input: 3x8x8\nnet: relu\noutputs: [x, y.0]\nlabels: [a, 1]\npaper: {title: x, authors: [a, b], arxiv: 1409.1550}",
    "extends: vgg16\nclasses: 3\nnet: {classifier: null}",
    (
        "input: 3x8x8\nnet: relu\nvariants: {a: {k: 3, net: {x: {out: 3}}, blocks: {f(x): null}, aux: null, defaults:"
        " null}}"
    ),
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_documents(text: str) -> None:
    assert complaint(data(text)) is None


NET = "input: 3x8x8\nnet: "
WRONG = [
    ("net: relu", "$", "'input' is a required property"),
    ("input: 3x8x8", "$", "'net' is a required property"),
    ("input: 3x8x8\nnet: relu\nnett: relu", "$", "'nett' was unexpected"),
    ("input: 3x8x8x8x8\nnet: relu", "$.input", "does not match"),
    ("input: [3, 8, 8, 8, 8]\nnet: relu", "$.input", "is too long"),
    (NET + "{a: {op: conv, out: 3, kernel: 3, pad: [1, 1, 1, 1, 1, 1, 1]}}", "$.net.a.pad", "is too long"),
    (NET + "{a: 3x3x3x3 conv 8}", "$.net.a", "does not match"),
    ("input: [0, 8, 8]\nnet: relu", "$.input[0]", "less than the minimum"),
    ("input: {a: {b: 3}}\nnet: relu", "$.input.a", "is not of type"),
    ("archdsl: 2\ninput: 3\nnet: relu", "$.archdsl", "1 was expected"),
    (NET + "{a: {op: cnov}}", "$.net.a.op", "'cnov' is not one of ['conv', "),
    (NET + "{a: {op: conv, kernal: 3}}", "$.net.a", "'kernal' was unexpected"),
    (NET + "{a: {op: conv, out: 0}}", "$.net.a.out", "less than the minimum of 1"),
    (NET + "{a: {op: conv, out: 4, kernel: 0}}", "$.net.a.kernel", "less than the minimum of 1"),
    (NET + "{a: {op: conv, kernel: [3, 3, 3, 3]}}", "$.net.a.kernel", "is too long"),
    (NET + "{a: {op: conv, kernel: [3, -1]}}", "$.net.a.kernel[1]", "less than the minimum of 1"),
    (NET + "{a: {op: conv, out: true}}", "$.net.a.out", "is not of type 'integer', 'string'"),
    (NET + "{a: {op: conv, stride: {h: 1}}}", "$.net.a.stride", "is not of type"),
    (NET + "{a: {op: dropout, p: 2}}", "$.net.a.p", "greater than or equal to the maximum of 1"),
    (NET + "{a: {op: split, parts: 2, act: relu}}", "$.net.a", "'act' was unexpected"),
    (NET + "{a: {op: conv, act: {op: bn}}}", "$.net.a.act.op", "'bn' is not one of ['relu'"),
    (NET + "{a: {op: conv, act: {op: elu, slope: 1}}}", "$.net.a.act", "'slope' was unexpected"),
    (NET + "{a: {op: conv, act: {slope: 1}}}", "$.net.a.act", "'op' is a required property"),
    (NET + "{a: {op: relu, repeat: -1}}", "$.net.a.repeat", "less than the minimum of 0"),
    (NET + "{a: {op: relu, repeat: 2, as: layer}}", "$.net.a.as", "does not match"),
    (NET + "{a: {op: relu, from: 'b, c'}}", "$.net.a.from", "does not match"),
    (NET + "{a: 3}", "$.net.a", "3 is not of type 'string', 'array', 'object'"),
    (NET + "{a: 3x3 cnov 64}", "$.net.a", "'3x3 cnov 64' does not match"),
    (NET + "[relu, [relu, {op: fc, out: [1]}]]", "$.net[1][1].out", "is not of type"),
    (NET + "{a b: relu}", "$.net", "'a b' does not match"),
    (NET + "{a: {residual: relu, shortcuts: none}}", "$.net.a", "'shortcuts' was unexpected"),
    (NET + "{a: {residual: {b: {op: conv, pads: 1}}}}", "$.net.a.residual.b", "'pads' was unexpected"),
    (NET + "{a: {dense: relu}}", "$.net.a", "'repeat' is a required property"),
    (NET + "{a: {branches: relu}}", "$.net.a.branches", "is not of type 'array', 'object'"),
    (NET + "{a: {call: 'f('}}", "$.net.a.call", "does not match"),
    (NET + "{a: {call: f, residual: relu}}", "$.net.a", "'residual' was unexpected"),
    (NET + "relu\nargs: {k: {type: integer, default: 3}}", "$.args.k.type", "'integer' is not one of ['int'"),
    (NET + "relu\nargs: {k: {min: 3}}", "$.args.k", "'default' is a required property"),
    (NET + "relu\nargs: {a-b: 3}", "$.args", "'a-b' does not match"),
    (NET + "relu\ndefaults: {cnov: relu}", "$.defaults", "'cnov' was unexpected"),
    (NET + "relu\ndefaults: {conv: {nrm: bn}}", "$.defaults.conv", "'nrm' was unexpected"),
    (NET + "relu\ndefaults: {naming: nest}", "$.defaults.naming", "'nest' is not one of ['nested'"),
    (NET + "relu\nblocks: {a b: relu}", "$.blocks", "'a b' does not match"),
    (NET + "relu\nblocks: {f(x): {op: rleu}}", "$.blocks['f(x)'].op", "'rleu' is not one of"),
    (NET + "relu\naux: {a: {do: relu}}", "$.aux.a", "'from' is a required property"),
    (NET + "relu\naux: {a: {from: b, do: relu, weigth: 1}}", "$.aux.a", "'weigth' was unexpected"),
    (NET + "relu\npaper: {year: 1998}", "$.paper", "'title' is a required property"),
    (NET + "relu\npaper: {title: x, year: 98}", "$.paper.year", "less than the minimum of 1800"),
    (NET + "relu\npreprocess: imagenett", "$.preprocess", "'imagenett' is not one of ['imagenet', 'inception']"),
    (NET + "relu\npreprocess: {resiz: 3}", "$.preprocess", "'resiz' was unexpected"),
    (NET + "relu\nclaims: {param: 3}", "$.claims", "'param' was unexpected"),
    (NET + "relu\nclaims: {params: 3 apples}", "$.claims.params", "does not match"),
    (NET + "relu\noutputs: {a: [b]}", "$.outputs.a", "is not of type"),
    (NET + "relu\nvariants: {a: {defaults: {x: 1}}}", "$.variants.a.defaults", "'x' was unexpected"),
    (NET + "relu\nvariants: {a: {input: 3x3x3x3x3}}", "$.variants.a.input", "does not match"),
    (NET + "relu\nvariants: {a: 3}", "$.variants.a", "is not of type 'object'"),
    ("extends: 3", "$.extends", "is not of type 'string'"),
]


@pytest.mark.parametrize(("text", "path", "message"), WRONG)
def test_a_mistake_is_told_where_it_is(text: str, path: str, message: str) -> None:
    found = complaint(data(text))
    assert found is not None and found[0] == path and message in found[1]


@pytest.mark.parametrize("text", [text for text, _, _ in WRONG])
def test_what_the_schema_refuses_the_language_refuses(text: str) -> None:
    with pytest.raises(archdsl.ArchError):
        archdsl.loads(text, variant="a" if "variants" in text else None)


def test_the_mistakes_of_a_short_string_have_a_message_of_their_own() -> None:
    short = SCHEMA["$defs"]["short"]
    assert short["patternErrorMessage"].startswith("not a node; the ops are conv, ")
    assert all(re.search(short["pattern"], example) for example in short["examples"])
    assert json.loads(schema_text()) == SCHEMA
