"""Only `archdsl/axes.py` tells signals, images and volumes apart.

The search finds what code for two axes looks like: a rank compared with a number, one axis of a shape picked by its
index, loops over `(0, 1)`, `top, left, bottom, right`, names such as `Conv2d`, and patterns such as `\\d+x\\d+`.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house import FILES, tree_of
from tests.support.places import PACKAGE

SHAPED = re.compile(r"(^|[._])(shape|kernel|strides?|dilations?|pads|padding|sizes|window|scale)(\W|_?$)")
"""An expression with one number for each axis or side."""
RANKS = re.compile(r"\.ndim$|\.dim\(\)$|\brank\b|^axes_of\(|^axes$")
AXES = {(0, 1), (1, 2), (2, 3), (0, 1, 2), (1, 2, 3), (2, 3, 4), (-2, -1), (0, 2, 3, 1), (0, 3, 1, 2)}
PERMUTATIONS = {axes for axes in AXES if len(axes) == 4}
SIDES = {"top", "left", "bottom", "right", "height", "width", "high", "wide", "h", "w", "kh", "kw", "rows", "columns"}
WORDS = {"height", "width", "depth", "H", "W", "D", "high", "wide", "deep"}
NAMED = re.compile(
    r"(?i)(conv|transpose|norm|norm_|pool|pooling|dropout|pad|interpolate|upsampling)_?[123]d|(bi|tri)linear"
)
PATTERN = re.compile(r"\\d(\{[^}]*\}|[+*])?\)? ?x ?\(?\\d")
PROSE = re.compile(r"C x H x W|C x 1 x 1|heights? (and|or) widths?|rows and columns|\b\d+x\d+ (window|kernel)")


def places(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """The line, what is wrong there, and its text."""
    hidden = {id(text) for node in ast.walk(tree) if (text := _docstring(node)) is not None}
    for node in ast.walk(tree):
        if id(node) in hidden or not hasattr(node, "lineno"):
            continue
        for what, check in CHECKS.items():
            if check(node):
                yield node.lineno, what, ast.unparse(node).splitlines()[0][:100]  # type: ignore[attr-defined]


def _docstring(node: ast.AST) -> ast.AST | None:
    """The text of a docstring, or the names that other tools have for an op."""
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "elsewhere":
        return node.value
    return node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None


def _number(node: ast.AST) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _shaped(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute)) and SHAPED.search(ast.unparse(node)) is not None


def _rank(node: ast.AST) -> bool:
    """`len(shape) == 3`, `x.ndim == 4`, `axes_of(shape) < 2`; not whether there is any axis, nor more than most."""
    if not isinstance(node, ast.Compare):
        return False
    sides = (node.left, *node.comparators)
    numbers = [number for side in sides for number in _numbers(side)]
    for side in sides if not {"MOST", "len(KINDS)"} & set(map(ast.unparse, sides)) else ():
        length = isinstance(side, ast.Call) and ast.unparse(side.func) == "len"
        if length and any(numbers) and _shaped(side.args[0]):  # type: ignore[attr-defined]
            return True
        if RANKS.search(ast.unparse(side)) and any(number > 0 for number in numbers):
            return True
    return False


def _numbers(node: ast.AST) -> list[int]:
    items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return [number for item in items if (number := _number(item)) is not None]


def _index(node: ast.AST) -> bool:
    """`shape[2]`, `shape[1:3]`, `kernel[1]`; the channels `shape[0]` and the sizes `shape[1:]` exist in every rank."""
    if not isinstance(node, ast.Subscript) or not _shaped(node.value):
        return False
    if isinstance(node.slice, ast.Slice):
        upper, lower = (_number(end) if end is not None else None for end in (node.slice.upper, node.slice.lower))
        return (upper is not None and upper not in (-1, 1, 2)) or (lower is not None and lower < -1)
    number = _number(node.slice)
    return number is not None and number not in (-1, 0, 1 if "shape" in ast.unparse(node.value) else 0)


def _listed(node: ast.AST) -> bool:
    """`for axis in (0, 1)`, permutations, `("height", "width")`, and `(pad,) * 4`."""
    items = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
    numbers = [_number(item) for item in items]
    if tuple(numbers) in (AXES if not isinstance(node, ast.Call) else PERMUTATIONS):
        return True
    if sum(isinstance(item, ast.Constant) and item.value in WORDS for item in items) > 1:
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        items = getattr(node.left, "elts", [])
        word = any(isinstance(item, (ast.Constant, ast.JoinedStr)) and _number(item) is None for item in items)
        return len(items) == 1 and not word and _number(node.right) in (2, 3, 4)
    return False


def _unpacked(node: ast.AST) -> bool:
    """`height, width = shape`, or arguments `top, left, bottom, right`."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        return SHAPED.search(ast.unparse(node.value)) is not None and _sides(node.targets[0]) > 1
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return len({arg.arg for arg in node.args.args} & {"top", "left", "bottom", "right"}) > 2
    if isinstance(node, ast.Tuple):
        return _sides(node) > 2
    return False


def _sides(node: ast.Tuple) -> int:
    return sum(isinstance(item, ast.Name) and item.id in SIDES for item in node.elts)


def _typed(node: ast.AST) -> bool:
    """`kernel: tuple[int, int]`."""
    if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation is not None:
        name = ast.unparse(node.target) if isinstance(node, ast.AnnAssign) else node.arg
        pair = re.fullmatch(r"tuple\[(\w+)(, \1){1,3}\]( \| None)?", ast.unparse(node.annotation))
        return pair is not None and SHAPED.search(name) is not None
    return False


def _named(node: ast.AST) -> bool:
    """`nn.Conv2d`, `"conv2d"`, `bilinear`; patterns for `3x3`; texts that know height and width only."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
        return any(pattern.search(text) for pattern in (NAMED, PATTERN, PROSE))
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return NAMED.search(name) is not None


RANK, INDEX, LISTED = "a rank compared with a number", "one axis picked by its index", "axes listed one by one"
UNPACKED, TYPED, NAME = "axes or sides with names", "a type for two axes", "a name of one number of axes"
CHECKS = {RANK: _rank, INDEX: _index, LISTED: _listed, UNPACKED: _unpacked, TYPED: _typed, NAME: _named}
ALLOWED: list[tuple[str, tuple[str, ...], str]] = [
    ("axes.py", (NAME, LISTED), "the table"),
    ("backends/torch/layers.py", (NAME,), "the text for images, of which `layer_text` makes that for the others"),
    ("backends/weights/safetensors.py", (RANK,), "tensors of a file, which may have any rank"),
    ("drawing/article/convolution.py", (UNPACKED, INDEX), "a figure has slices, rows and columns, for every kind"),
    ("drawing/article/perceptron.py", (UNPACKED, LISTED), "the small image beside the neurons"),
    ("drawing/article/photograph.py", (UNPACKED, INDEX, RANK), "a photograph has rows and columns"),
    ("network/photograph.py", tuple(CHECKS), "a photograph has rows and columns"),
    ("drawing/article/windows.py", (UNPACKED,), "a grid has rows and columns, for every kind"),
    ("drawing/scene/", (LISTED,), "the two coordinates of a point, and the four sides of a box"),
    ("drawing/sheets.py", (UNPACKED, LISTED, RANK), "the width, height and depth of a sheet, for every kind"),
    ("drawing/volumes/spots.py", (UNPACKED, LISTED), "the table of boxes, and the extents of one"),
    ("drawing/graph/labels.py", tuple(CHECKS), "the space around the text of a box"),
    ("drawing/graph/layout.py", (UNPACKED,), "the box of a drawing"),
    ("language/foreign/", tuple(CHECKS), "layers and notations of other tools, some of which have two axes"),
    ("differences/report.py", (LISTED,), "before and after, and the columns of a table"),
    ("prediction/predictor.py", (RANK,), "outputs with their batch: those with two axes can be shown as a picture"),
    ("runtime/preprocess.py", tuple(CHECKS), "image files have a height and a width"),
    ("compilation/embed.py", tuple(CHECKS), "raw pixels of images, and Pillow's names of interpolations"),
    ("verification/embedded.py", (NAME,), "Pillow's names of interpolations, for images"),
    ("runtime/transforms.py", (RANK, LISTED, NAME), "images in memory have a height and a width"),
    ("runtime/volume.py", (LISTED, INDEX), "a place in the patient has three axes"),
    ("runtime/images/", tuple(CHECKS), "files of images have rows and columns, those of volumes slices, too"),
    ("runtime/recipe.py", tuple(CHECKS), "image files, and Pillow's names of interpolations"),
    ("language/section_models.py", (NAME, LISTED), "Pillow's interpolations, and what `scale` marks: depth and width"),
    ("editor/completion.py", (LISTED,), "what `scale` marks: the depth and the width of a network"),
    ("frontends/onnx_ops/layers.py", (RANK,), "the matrix of a product"),
    ("prediction/result.py", (UNPACKED,), "an image file"),
    ("timing/kernels.py", (RANK,), "ONNX Runtime stores only images in blocks of channels"),
    ("spec/open.py", (RANK,), "one size that is given for all axes"),
]
"""Files (or folders), what they may hold, and why."""


def found(path: Path) -> list[str]:
    name = path.relative_to(PACKAGE).as_posix()
    allowed = {what for prefix, kinds, _ in ALLOWED if name.startswith(prefix) for what in kinds}
    return [f"{name}:{line}: {what}: {text}" for line, what, text in places(tree_of(path)) if what not in allowed]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_tells_axes_apart(path: Path) -> None:
    """Use `axes_of`, `kind_of` and loops over all axes; `not axes_of(shape)` is a vector."""
    assert not found(path)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (RANK, "len(node.shape) == 3"),
        (RANK, "x.ndim != 4"),
        (RANK, "x.dim() in (2, 4)"),
        (RANK, "axes_of(shape) < 2"),
        (INDEX, "op.kernel[1]"),
        (INDEX, "x.shape[2]"),
        (INDEX, "shape[1:3]"),
        (INDEX, "shape[-2:]"),
        (LISTED, "[f(axis) for axis in (0, 1)]"),
        (LISTED, "x.permute(0, 2, 3, 1)"),
        (LISTED, "zip(('height', 'width'), sizes)"),
        (LISTED, "(pad,) * 4"),
        (UNPACKED, "height, width = shape"),
        (UNPACKED, "def f(top, left, bottom, right): pass"),
        (TYPED, "kernel: tuple[int, int]"),
        (NAME, "nn.Conv2d(3, 4, 1)"),
        (NAME, "x = 'BatchNorm3d'"),
        (NAME, r"re.compile(r'(\d+)x(\d+)')"),
        (NAME, "error('the height and width differ')"),
    ],
)
def test_the_search_finds(what: str, text: str) -> None:
    assert what in [kind for _, kind, _ in places(ast.parse(text))]


def test_the_search_leaves_other_code_alone() -> None:
    text = """
        shape[0], shape[1:], x.shape[2:], axes_of(shape) == 0, axes_of(shape) > 0, 0 < axes <= MOST
        len(inputs) == 2, rows[1], (0, 0)
        [f(size) for size in shape[1:]], re.compile(r"\\d+(x\\d+)*"), "64x56x56", nn.Linear, width, height
    """
    assert list(places(ast.parse(textwrap.dedent(text)))) == []


if __name__ == "__main__":
    print(*(line for path in FILES for line in found(path)), sep="\n")
