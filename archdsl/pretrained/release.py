"""A published set of weights as data, and whether the network may be used to get it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import ArchError, error
from archdsl.language.section_models import Preprocess
from archdsl.progress import Watch

OFFLINE = "ARCHDSL_OFFLINE"
MAX_BYTES = 8 << 30
"""The largest file that is fetched; the largest weights of torchvision have 2.6 GB."""
UNSTATED = "not stated"
WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


class About(NamedTuple):
    """What a registry publishes of a set of weights. `preprocess` is None if it has none that a spec can express."""

    licence: str = UNSTATED
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A set of weights on this machine.

    `name` is its full name: `torchvision:resnet50.IMAGENET1K_V2`. `url` is where it is published, `sha256` the hash of
    the file at `path`, `licence` the licence that its publisher states.
    """

    name: str
    url: str
    path: Path
    sha256: str
    about: About


def is_offline() -> bool:
    return os.environ.get(OFFLINE, "") not in ("", "0")


@contextmanager
def offline(on: bool = True) -> Iterator[None]:
    """Use only weights that are on this machine, as with the environment variable ARCHDSL_OFFLINE=1.

    Processes that start inside the `with` block are offline as well. With `on=False` it changes nothing.
    """
    before = os.environ.get(OFFLINE)
    if on:
        os.environ[OFFLINE] = "1"
    try:
        yield
    finally:
        if before is not None:
            os.environ[OFFLINE] = before
        elif on:
            os.environ.pop(OFFLINE, None)


@contextmanager
def watching(watch: Watch | None) -> Iterator[None]:
    """Report the progress of downloads to `watch`."""
    token = WATCH.set(watch)
    try:
        yield
    finally:
        WATCH.reset(token)


def unknown(message: str, help: str = "") -> ArchError:
    """E0621: no weights have this name."""
    return error("E0621", message, status=2, help=help)


def unavailable(what: str, why: str, help: str = "") -> ArchError:
    """E0622: weights cannot be fetched. The way out is always a file from another machine."""
    help = "; or ".join(filter(None, (help, "download the file on another machine, and name it: `--weights FILE`")))
    return error("E0622", f"cannot fetch `{what[:200]}`: {why[:200]}", status=2, help=help)


def not_here(what: str) -> ArchError:
    return unavailable(what, "it is not in the cache, and archdsl is offline", "run once without `--offline`")


def wrong_hash(what: str, expected: str, actual: str, kind: str = "SHA-256") -> ArchError:
    """E0623: the file is not the published one."""
    message = f"`{what[:200]}` is not the published file: its {kind} is {actual}, not {expected}"
    return error("E0623", message, help="it was changed or damaged on the way; nothing of it was used")
