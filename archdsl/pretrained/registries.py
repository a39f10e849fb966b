"""The sets of weights that torchvision and timm publish: where they are, their preprocessing, labels and licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import floor
from typing import Any

from archdsl.diagnostics import did_you_mean
from archdsl.language.section_models import Preprocess
from archdsl.packages import require_package
from archdsl.pretrained.release import UNSTATED, About, unknown

_MOST = 1e30
"""Means and deviations are smaller, as in the metadata of compiled files."""


def torchvision_set(model: str, name: str, written: bool = True) -> tuple[str, str, About]:
    """Return the full name of a set of torchvision (`resnet50.IMAGENET1K_V2`), its address, and what is known of it.

    `written`: whether the name of the weights has the network, which then may be misspelt.
    Raises E0621 if the network or the set is unknown, E0807 without torchvision.
    """
    require_package("torchvision")
    from torchvision.models import get_model_weights, list_models

    if model not in list_models():
        help = (
            did_you_mean(model, list_models()) if written else "name its network: `torchvision:resnet50.IMAGENET1K_V2`"
        )
        raise unknown(f"torchvision has no network `{model[:80]}`", help)
    sets = get_model_weights(model)
    if name not in sets.__members__:
        choices = ", ".join(sets.__members__)
        raise unknown(f"torchvision has no weights `{name[:80]}` of `{model}`", f"choose one of: {choices}")
    weights = sets[name]
    labels = weights.meta.get("categories")
    about = About(
        str(weights.meta.get("license", UNSTATED)),
        _of_torchvision(weights.transforms()),
        tuple(map(str, labels)) if labels else None,
    )
    return f"{model}.{weights.name}", str(weights.url), about


def torchvision_sets(model: str) -> list[str]:
    """Return the names of the sets of a network, that which torchvision recommends first; empty for another network."""
    from torchvision.models import get_model_weights, list_models

    if model not in list_models():
        return []
    sets = get_model_weights(model)
    default = getattr(sets, "DEFAULT", None)
    return sorted((weights.name for weights in sets), key=lambda name: default is None or name != default.name)


def hash_in(url: str) -> str:
    """Return the first digits of the SHA-256 in the name of a file of torchvision or timm: `resnet50-11ad3fa6.pth`."""
    match = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
    return match[1] if match else ""


def _of_torchvision(preset: Any) -> Preprocess | None:
    """The preprocessing of images; None for video."""
    if "Video" in type(preset).__name__:
        return None
    crop = getattr(preset, "crop_size", None)
    return _preprocess(
        resize=preset.resize_size[0],
        crop=crop[0] if crop else None,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _preprocess(**fields: Any) -> Preprocess | None:
    """The preprocessing with these fields; None if a spec cannot express it."""
    if not all(abs(value) < _MOST for value in (*fields["mean"], *fields["std"])):  # also NaN
        return None
    try:
        return Preprocess(**fields)
    except ValueError:
        return None


# --- timm -------------------------------------------------------------------------------------------------


def timm_set(name: str) -> tuple[str, str, About]:
    """Return the full name of a set of timm (`resnet50.a1_in1k`), its repository at Hugging Face, and what is known of
    it. Raises E0621 if it is unknown, E0807 without timm."""
    require_package("timm")
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:
        config = None
    if config is None or not config.has_weights:
        model = name.partition(".")[0]
        sets = timm_sets(model)
        help = f"choose one of: {', '.join(sets)}" if sets else did_you_mean(model, _timm_sets())
        raise unknown(f"timm has no weights `{name[:80]}`", help)
    full = f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)
    return full, str(config.hf_hub_id or config.url), of_timm(vars(config))


def timm_sets(model: str) -> list[str]:
    """Return the names of the sets of a network, timm's default first; empty for another network."""
    from timm.models import get_pretrained_cfg

    sets = _timm_sets().get(model, [])
    default = get_pretrained_cfg(model) if sets else None
    first = f"{model}.{default.tag}" if default is not None else ""
    return sorted(sets, key=lambda name: name != first)


@cache
def _timm_sets() -> dict[str, list[str]]:
    """The names of all sets of timm by network."""
    import timm

    sets: dict[str, list[str]] = {}
    for name in timm.list_pretrained():
        sets.setdefault(name.partition(".")[0], []).append(name)
    return sets


def of_timm(config: Mapping[str, Any]) -> About:
    """What a pretrained configuration of timm states, also that of a repository. Raises ValueError for a wrong one."""
    labels = config.get("label_names")
    if not labels:
        labels = _imagenet_labels(config.get("num_classes"))
    size = tuple(config.get("input_size") or (3, 224, 224))
    percent, mode = float(config.get("crop_pct") or 0.875), config.get("crop_mode") or "center"
    edges = {"resize": floor(min(size[1:]) / percent), "crop": size[1:]} if mode == "center" else {}
    fits = mode == "center" or (mode == "squash" and percent == 1.0)
    preprocess = _preprocess(
        **edges,
        mean=tuple(map(float, config.get("mean") or Preprocess.presets["imagenet"]["mean"])),
        std=tuple(map(float, config.get("std") or Preprocess.presets["imagenet"]["std"])),
        interpolation=config.get("interpolation") or "bicubic",
    )
    licence = str(config.get("license") or UNSTATED)[:100]
    return About(licence, preprocess if fits else None, tuple(map(str, labels)) if labels else None)


@cache
def _imagenet_labels(classes: int | None) -> tuple[str, ...]:
    """The descriptions of ImageNet's classes, if timm is installed and knows a subset of so many."""
    from importlib.util import find_spec

    if find_spec("timm") is None:
        return ()
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
