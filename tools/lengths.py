"""Counts the code lines of the library's specs and of their reference modules: `python tools/lengths.py`.

Blank lines, comments and docstrings do not count. Lines that do not describe the architecture are excluded on both
sides: a spec's paper, claims, preprocessing and labels; in the reference the tables of released weights with their URLs
and preprocessing. Modules that a reference shares with others (torchvision's `SqueezeExcitation`, timm's `layers`) are
not counted either, although a spec contains all that it uses.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MOST = 0.5
"""The goal: the length of a spec divided by that of its reference is at most this."""
REFERENCES: dict[str, tuple[str, ...]] = {
    "torchvision/models/alexnet.py": ("alexnet",),
    "torchvision/models/vgg.py": ("vgg16",),
    "torchvision/models/googlenet.py": ("googlenet",),
    "torchvision/models/inception.py": ("inception_v3",),
    "torchvision/models/resnet.py": ("resnet50", "resnext50_32x4d"),
    "torchvision/models/densenet.py": ("densenet121",),
    "torchvision/models/squeezenet.py": ("squeezenet1_0",),
    "torchvision/models/mobilenetv2.py": ("mobilenet_v2",),
    "torchvision/models/mobilenetv3.py": ("mobilenet_v3_large",),
    "torchvision/models/shufflenetv2.py": ("shufflenet_v2_x1_0",),
    "torchvision/models/mnasnet.py": ("mnasnet1_0",),
    "torchvision/models/efficientnet.py": ("efficientnet_b0", "efficientnet_v2_s"),
    "torchvision/models/regnet.py": ("regnet_y_400mf",),
    "torchvision/models/convnext.py": ("convnext_tiny",),
    "torchvision/models/video/resnet.py": ("r3d_18",),
    "torchvision/models/video/s3d.py": ("s3d",),
    "timm/models/inception_v4.py": ("inception_v4",),
    "timm/models/inception_resnet_v2.py": ("inception_resnet_v2",),
    "timm/models/xception.py": ("xception",),
    "timm/models/dpn.py": ("dpn68",),
    "timm/models/senet.py": ("se_resnet50",),
    "timm/models/nasnet.py": ("nasnetalarge",),
    "timm/models/pnasnet.py": ("pnasnet5large",),
    "timm/models/cspnet.py": ("darknet53", "cspdarknet53", "cs3darknet_l", "cspresnet50"),
    "timm/models/convmixer.py": ("convmixer_768_32",),
    "timm/models/res2net.py": ("res2net50_26w_4s",),
    "timm/models/resnet.py": ("seresnet50", "resnet50_cbam", "ecaresnet50d"),
    "timm/models/sknet.py": ("skresnet50",),
    "timm/models/resnest.py": ("resnest50d",),
    "timm/models/convnext.py": ("convnextv2_tiny",),
    "timm/models/resnetv2.py": ("resnetv2_50", "resnetv2_50x1_bit"),
    "timm/models/dla.py": ("dla34",),
    "timm/models/hrnet.py": ("hrnet_w18",),
    "timm/models/ghostnet.py": ("ghostnet_100",),
    "timm/models/byobnet.py": ("repvgg_a0", "mobileone_s0"),
    "timm/models/mobilenetv3.py": ("mobilenetv4_conv_small",),
    "timm/models/efficientnet.py": ("mixnet_s", "tf_efficientnet_b0"),
    "monai/networks/nets/densenet.py": ("densenet121_monai",),
    "monai/networks/nets/resnet.py": ("resnet50_monai",),
    "monai/networks/nets/basic_unet.py": ("unet_monai",),
    "monai/networks/nets/unet.py": ("resunet_monai",),
    "monai/networks/nets/attentionunet.py": ("attention_unet_monai",),
    "monai/networks/nets/segresnet.py": ("segresnet",),
    "monai/networks/nets/dynunet.py": ("dynunet",),
    "monai/networks/nets/vnet.py": ("vnet_monai",),
    "monai/networks/nets/highresnet.py": ("highresnet",),
    "monai/networks/nets/senet.py": ("se_resnet50_monai",),
    "monai/networks/nets/efficientnet.py": ("efficientnet_b0_monai",),
    "monai/networks/nets/mednext.py": ("mednext_s",),
    "monai/networks/nets/autoencoder.py": ("autoencoder_monai",),
    "monai/networks/nets/regressor.py": ("regressor_monai",),
}
"""Reference module, and the specs of the same networks."""
ABOUT = ("paper", "claims", "preprocess", "labels", "doc")
"""Keys of a spec that do not describe the architecture."""
_TABLES = ("_COMMON_META", "_COMMON_SWAG_META", "default_cfgs", "__all__")


class Row(NamedTuple):
    specs: tuple[str, ...]
    lines: int
    reference: str
    reference_lines: int

    @property
    def share(self) -> float:
        return self.lines / self.reference_lines


def spec_lines(text: str) -> int:
    """Return the number of code lines of a spec and its variants without the keys in `ABOUT`."""
    count, inside = 0, -1
    for line in text.splitlines():
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if not bare or bare.startswith("#"):
            continue
        if inside >= 0 and indent > inside:
            continue
        inside = indent if indent in (0, 4) and bare.split(":")[0] in ABOUT else -1
        count += inside < 0
    return count


def python_lines(text: str) -> int:
    """Return the number of code lines of a module without docstrings and tables of released weights."""
    excluded = set()
    for node in ast.walk(ast.parse(text)):
        if _is_table(node) or _is_docstring(node):
            assert isinstance(node, ast.stmt)
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            excluded.update(range(first, (node.end_lineno or first) + 1))
    silent = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    )
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - excluded)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_table(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(ast.unparse(base) == "WeightsEnum" for base in node.bases)
    if isinstance(node, ast.FunctionDef):
        return node.name == "_cfg"
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in _TABLES


def rows() -> Iterator[Row]:
    """Yield a row for each reference. Raises FileNotFoundError if one is not installed."""
    for reference, specs in REFERENCES.items():
        package, _, rest = reference.partition("/")
        module = find_spec(package)
        if module is None or not module.submodule_search_locations:
            raise FileNotFoundError(reference)
        source = (Path(module.submodule_search_locations[0]) / rest).read_text(encoding="utf-8")
        lines = sum(spec_lines((ROOT / "specs" / f"{name}.yaml").read_text(encoding="utf-8")) for name in specs)
        yield Row(specs, lines, reference, python_lines(source))


def versions() -> str:
    """Return the versions of the references, `torchvision 0.29, timm 1.0.31, ...`; empty if one is not installed."""
    try:
        return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in ("torchvision", "timm", "monai"))
    except PackageNotFoundError:
        return ""


def table() -> str:
    """Return all rows as Markdown, with the specs that miss the goal and those without a reference."""
    by_share = sorted(rows(), key=lambda row: row.share)
    missed = [row for row in by_share if row.share > MOST]
    total, short = len(by_share), len(by_share) - len(missed)
    result = f"All {total} are at most half as long as their reference."
    if missed:
        longer = ", ".join(f"{' and '.join(row.specs)} ({row.share:.0%})" for row in missed)
        result = f"{short} of {total} are at most half as long as their reference; longer: {longer}."
    known = {name for row in by_share for name in row.specs}
    others = [path for path in sorted((ROOT / "specs").glob("*.yaml")) if path.stem not in known]
    lines = [
        f"Counted in {versions()}. {result}",
        "",
        "| spec | lines | reference | lines | share |",
        "|---|--:|---|--:|--:|",
    ]
    for row in by_share:
        names = ", ".join(f"[{name}](../specs/{name}.yaml)" for name in row.specs)
        lines.append(f"| {names} | {row.lines} | `{row.reference}` | {row.reference_lines} | {row.share:.0%} |")
    rest = ", ".join(f"{path.stem} {spec_lines(path.read_text(encoding='utf-8'))}" for path in others)
    lines += ["", f"No installed library has a module for these: {rest}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
