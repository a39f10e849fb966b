"""The name of weights, such as `torchvision:IMAGENET1K_V2`, and what it stands for."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TypeGuard

from archdsl.pretrained import registries
from archdsl.pretrained.release import About, Release, unknown

PREFIXES = ("torchvision:", "timm:", "hf:", "https://", "file://")
_NAME = re.compile(r"(torchvision|timm|hf):|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HASH = re.compile(r"#sha256=([0-9a-fA-F]{8,64})$")


def is_name(source: object) -> TypeGuard[str]:
    """Return whether a source of weights is a name with a prefix, not a path."""
    return isinstance(source, str) and _NAME.match(source) is not None


def release(name: str, network: str = "") -> Release:
    """Return the weights with a name, fetched if they are not on this machine.

    `network` is the network of a name without one, `torchvision:IMAGENET1K_V2`. Raises E0621 if no weights have this
    name, E0622 if they cannot be fetched, E0623 if a hash differs, E0807 if a package is missing.
    """
    from archdsl.pretrained.download import fetch, local_file
    from archdsl.pretrained.hub import Repository, hub_set, weights_file

    prefix = next((p for p in PREFIXES if name.startswith(p)), "")
    rest = name.removeprefix(prefix)
    if prefix == "torchvision:":
        model, dot, chosen = rest.rpartition(".")
        full, url, about = registries.torchvision_set(model if dot else network, chosen, bool(dot))
        path, digest = fetch(url, registries.hash_in(url), _torch_caches())
        return Release(prefix + full, url, path, digest, about)
    if prefix == "timm:":
        full, place, about = registries.timm_set(rest)
        if place.startswith("https://"):
            return Release(prefix + full, place, *fetch(place, registries.hash_in(place), _torch_caches()), about)
        path, digest = weights_file(Repository(place))
        return Release(prefix + full, f"https://huggingface.co/{place}", path, digest, about)
    if prefix == "hf:":
        return Release(*hub_set(rest))
    if not prefix:
        raise unknown(f"`{name[:120]}` is not a name of weights", f"names begin with {', '.join(PREFIXES)}")
    url, hash = _split_hash(name)
    path, digest = fetch(url, hash) if prefix == "https://" else local_file(url, hash)
    public = url.partition("?")[0]  # what follows may be a key, which does not belong into compiled files
    return Release(public, public, path, digest, About())


def _split_hash(name: str) -> tuple[str, str]:
    """The address, and the hash behind `#sha256=`. Raises E0621 for anything else behind `#`."""
    match = _HASH.search(name)
    url = name[: match.start()] if match else name
    if "#" in url or re.search(r"[\x00-\x20\x7f]|://[^/]*@", url):
        help = "write https://host/file#sha256=HEX, without spaces and without a user"
        raise unknown(f"`{name[:120]}` is not an address of weights", help)
    return url, match[1].lower() if match else ""


def _torch_caches() -> tuple[Path, ...]:
    """The folder in which torch.hub keeps weights of torchvision and timm."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return (Path(home).expanduser() / "hub" / "checkpoints",)


def available(network: str) -> list[str]:
    """Return the names of the weights that torchvision and timm publish for a network, by the networks' names.

    The first is what each recommends. Whether the tensors fit is checked when they are loaded. Nothing is fetched.
    """
    names = []
    if find_spec("torchvision") is not None:
        names += [f"torchvision:{network}.{name}" for name in registries.torchvision_sets(network)]
    if find_spec("timm") is not None:
        names += [f"timm:{name}" for name in registries.timm_sets(network)]
    return names
