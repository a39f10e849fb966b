"""Find the images of a prediction: files, folders, globs, lists of names, and objects of a store.

Only names are read here. An entry that is no image becomes a `Skipped` or a `Missed` with its reason: a folder of
100,000 files is never refused because of one of them.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from archdsl.diagnostics import Diagnostic, error
from archdsl.files.atomic import NotRegular, open_regular, reason
from archdsl.packages import require_package
from archdsl.prediction.result import Missed
from archdsl.pretrained.release import is_offline
from archdsl.runtime.images import Skipped, Source, scan

MAX_LIST = 1 << 28
"""Maximum bytes of a list of names."""
MAX_OBJECT = 1 << 32
"""Maximum bytes of an object of a store."""
_LOCAL = ("file://", "memory://")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.ASCII)


@dataclass(frozen=True, slots=True)
class Remote:
    """An object of a store, one sample, which is copied to a temporary file while it is prepared."""

    name: str

    @contextmanager
    def fetched(self, axes: int) -> Iterator[Source]:
        """The object as a local sample with the same name, for `axes` spatial axes.

        Raises E0804 if the store does not return it, or if it is not one sample.
        """
        import fsspec

        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            path = Path(folder) / f"object{Path(self.name).suffix[:16]}"
            try:
                with fsspec.open(self.name, "rb") as remote, path.open("wb") as local:
                    shutil.copyfileobj(_Limited(remote), local, 1 << 20)
            except Exception as problem:  # each store has errors of its own
                raise error("E0804", f"cannot read `{self.name[-120:]}`: {reason(problem)}") from None
            found = [*scan([path], axes)]
            if len(found) != 1 or isinstance(found[0], Skipped):
                first = found[0] if found else None
                why = first.reason if isinstance(first, Skipped) else f"it has {len(found)} frames"
                raise error("E0804", f"`{self.name[-120:]}` is not one image: {why}", help="copy it to a folder")
            yield replace(found[0], name=self.name)


class _Limited:
    """Reads of at most MAX_OBJECT bytes in total. Raises OSError beyond."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_OBJECT

    def read(self, count: int = -1, /) -> bytes:
        data: bytes = self._file.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"it has more than {MAX_OBJECT >> 30} GiB")
        return data


Entry: TypeAlias = Path | Remote | Skipped | Missed
"""A file or an object, or why there is none."""
Sample: TypeAlias = Source | Remote | Skipped | Missed
"""One row of the result: a sample to run, or why there is none."""


def sample_name(sample: Sample) -> str:
    """Return what a result calls the sample."""
    if isinstance(sample, Skipped):
        return str(sample.path)
    return sample.image if isinstance(sample, Missed) else sample.name


def find_files(inputs: Sequence[str | os.PathLike[str]], full: bool = True) -> list[Entry]:
    """List the entries of the inputs, in order; those of a folder in the order of their names' bytes. (`find_samples`
    puts series of slices after them.)

    An input is a file, a folder (with its subfolders), a glob, `@FILE` (a name per line, or separated by NUL), `-` (the
    same from standard input), or a URL of fsspec. The names of a list are files or folders, never globs or URLs: a file
    of somebody else must not make this machine fetch addresses. With
    `full`, names become full paths; relative ones start at the working directory, those of a list too.

    Raises E0830 for a list that cannot be read and for a URL if archdsl is offline, E0807 for a missing fsspec.
    """
    entries: list[Entry] = []
    for given in inputs:
        text = os.fspath(given)
        if text == "-":
            entries += [entry for name in _names(sys.stdin.buffer, "-") for entry in _listed(name, full)]
        elif text.startswith("@") and not os.path.lexists(text):
            entries += [entry for name in _read_list(text[1:]) for entry in _listed(name, full)]
        elif glob.has_magic(text) and not os.path.lexists(text) and not _URL.match(text):
            matches = sorted(glob.iglob(text, recursive=True), key=os.fsencode)
            entries += [entry for name in matches for entry in _entries(name, full)] or [
                _nothing(text, "no file matches")
            ]
        else:
            entries += _entries(text, full)
    return entries


def find_samples(entries: Iterable[Entry], axes: int) -> Iterator[Sample]:
    """Turn entries into the samples of a network whose input has `axes` spatial axes, in order."""
    others: list[Remote | Skipped | Missed] = []

    def files() -> Iterator[Path]:
        for entry in entries:
            if isinstance(entry, Path):
                yield entry
            else:
                others.append(_by_name(entry, axes) if isinstance(entry, Remote) else entry)

    for sample in scan(files(), axes):  # one call: it groups slices of all folders
        yield from others
        others.clear()
        yield sample
    yield from others


def _by_name(remote: Remote, axes: int) -> Remote | Missed:
    """The object, unless its name says that it is no image."""
    found = next(scan([Path(remote.name)], axes), None)
    return Missed(remote.name, skipped=found.reason) if isinstance(found, Skipped) else remote


def _entries(name: str, full: bool) -> Iterator[Entry]:
    if _URL.match(name):
        yield from _objects(name)
        return
    name = os.path.abspath(name) if full else name
    if os.path.isdir(name):
        files: list[Entry] = [*_walk(name, os.path.realpath(name))]
        yield from files or [_nothing(name, "the folder is empty")]
    else:
        yield Path(name)


def _listed(name: str, full: bool) -> Iterator[Entry]:
    if _URL.match(name):
        yield _nothing(name, "a list cannot name a URL; name it, or one with `*`, as an input")
    else:
        yield from _entries(name, full)


def _nothing(name: str, why: str) -> Missed:
    return Missed(name, (Diagnostic("E0830", f"no image in `{name[-120:]}`: {why}"),), status=2)


def _walk(folder: str, root: str) -> Iterator[Path | Skipped]:
    """The files of a folder; a link is followed to a file within `root` only."""
    waiting: list[str | os.DirEntry[str]] = [folder]  # no recursion: folders may be nested thousands of levels deep
    while waiting:
        item = waiting.pop()
        path = Path(item)
        try:
            if isinstance(item, str) or item.is_dir(follow_symlinks=False):
                with os.scandir(item) as found:
                    entries = sorted(found, key=_name_bytes, reverse=True)
                waiting += entries
            elif why := _unfit(item, root):
                yield Skipped(path, why)
            else:
                yield path
        except (OSError, ValueError) as problem:
            yield Skipped(path, f"it cannot be read: {reason(problem)}")


def _name_bytes(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _unfit(entry: os.DirEntry[str], root: str) -> str:
    """Why an entry of a folder is not a file to open; empty if it is one."""
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if os.path.commonpath([root, target]) != root:
            return "a link out of the folder"
        if os.path.isdir(target):
            return "a link to a folder"
        if not os.path.lexists(target):
            return "a link to nothing"
    return "" if stat.S_ISREG(entry.stat().st_mode) else "not a regular file"


def _read_list(name: str) -> list[str]:
    try:
        with open_regular(name) as file:
            return _names(file, name)
    except NotRegular:
        raise _no_list(name, "it is not a regular file") from None
    except (OSError, ValueError) as problem:
        raise _no_list(name, reason(problem)) from None


def _names(file: Any, name: str) -> list[str]:
    """The names of a list: bytes in any encoding, as the system's files have."""
    data: bytes = file.read(MAX_LIST + 1)
    if len(data) > MAX_LIST:
        raise _no_list(name, f"it has more than {MAX_LIST >> 20} MiB")
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]


def _no_list(name: str, why: str) -> Exception:
    return error("E0830", f"cannot read the list `{name[-120:]}`: {why}", status=2, help="write one name per line")


def _objects(url: str) -> Iterator[Remote | Missed]:
    """The objects of a URL: one, those below a prefix, or those that match a glob."""
    require_package("fsspec")
    import fsspec

    if is_offline() and not url.startswith(_LOCAL):
        raise error("E0830", f"cannot open `{url[:120]}`: archdsl is offline", status=2, help="leave out `--offline`")
    try:
        system, path = fsspec.core.url_to_fs(url)
        if glob.has_magic(path):
            names = sorted(system.glob(path))
        else:
            names = sorted(system.find(path)) if system.isdir(path) else [path]
        names = [system.unstrip_protocol(name) for name in names]
    except ImportError as problem:  # the package of a store, such as s3fs
        raise error("E0830", f"cannot open `{url[:120]}`: {reason(problem)}", status=2) from None
    except Exception as problem:  # each store has errors of its own
        yield _nothing(url, reason(problem))
        return
    yield from map(Remote, names)
    if not names:
        yield _nothing(url, "no object matches")
