"""Output files: written beside their target under a temporary name, moved into place when whole.

A process that is killed leaves the old file, or none, never half of one. What it leaves behind is named
`.archdsl-<process>-<random>` and is removed by the next run that writes into the same directory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from archdsl.diagnostics import ArchError, error
from archdsl.files.disk import Straight

if sys.platform != "win32":
    import fcntl

_TEMPORARY = re.compile(r"\.archdsl-([1-9][0-9]{0,9})-[0-9a-f]{12}")
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written, its `size` in bytes."""

    path: Path
    size: int

    @property
    def sha256(self) -> str:
        """Of what lies there now, in hexadecimal. Reads the file: to hash takes twice as long as to write."""
        return sha256(self.path)


class Output:
    """A file being written. `path` is its temporary name; `written` is set once it stands in its place."""

    def __init__(self, target: Path, path: Path, file: Straight) -> None:
        self.target, self.path = target, path
        self.written: Written | None = None
        self.size = 0
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Appends the bytes. Raises E0704 when the disk is full, E0701 on any other failure."""
        view = memoryview(data).cast("B") if data else memoryview(b"")
        try:
            self._file.write(view)
        except OSError as failure:
            _refuse(self.target, failure)
        self.size += len(view)
        return len(view)

    def flush(self, sync: bool = False) -> None:
        """Hands everything to the system, with `sync` to the disk. Raises as `write` does."""
        try:
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as failure:
            _refuse(self.target, failure)

    def commit(self, sync: bool = True) -> None:
        """Puts the file in its place, `sync`ed to the disk first; `target` may have been changed until now. Once only.

        Raises as `write` does.
        """
        self.flush(sync)
        try:
            self._finish()
            if sync:
                _sync_directory(self.target.parent)
        except OSError as failure:
            _refuse(self.target, failure)

    def _finish(self) -> None:
        self._file.close()
        size = self.size or self.path.stat().st_size  # another program may have written to `path`
        os.replace(self.path, self.target)
        self.written = Written(self.target, size)


@contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    mine: Callable[[Path], bool] | None = None,
    need: int = 0,
    sync: bool = True,
) -> Iterator[Output]:
    """A new file at `path`, complete or not at all.

    Write to the `Output`, or let another program write to its `path`. The target is replaced when the block
    ends well, and untouched when it raises. `inputs`, `force` and `mine` are `check_target`'s; `need` is the
    number of bytes that must be free; `sync` waits until the disk has the bytes, so that not even a power cut leaves
    half of them. Files that are one artefact are written to their Outputs and then committed one after the other,
    `alone`.

    Errors: E0701 it cannot be written here, E0702 it is an input, E0703 it exists, E0704 the disk is full.
    """
    target = check_target(path, inputs=inputs, force=force, mine=mine)
    sweep(target.parent)
    require_space(target, need)
    output = _open_temporary(target)
    try:
        yield output
        if output.written is None:
            output.commit(sync)
    finally:
        with suppress(OSError):
            output._file.close()
        if output.written is None:
            output.path.unlink(missing_ok=True)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Holds the directory for putting an artefact of several files into place: other runs of ours wait."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_target(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    mine: Callable[[Path], bool] | None = None,
) -> Path:
    """The path, if a file may be written there.

    An existing file is replaced with `force`, or when `mine` says that archdsl wrote it for the same purpose.
    A symbolic link is never followed: it is itself replaced, with `force`.

    Errors: E0701 cannot write here, E0702 would overwrite one of `inputs`, E0703 would overwrite something else.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise _cannot(text, "the name holds a NUL character")
    target = Path(text)
    try:
        _check_directory(target, text)
        found = os.lstat(target)
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as failure:
        _refuse(target, failure)
    _check_existing(target, found, inputs, force, mine)
    return target


def _check_directory(target: Path, text: str) -> None:
    parent = target.parent
    try:
        if not stat.S_ISDIR(os.stat(parent).st_mode):
            raise _cannot(text, f"`{_short(parent)}` is not a directory")
    except FileNotFoundError:
        raise _cannot(text, f"there is no directory `{_short(parent)}`", help="create it first") from None
    if not target.name or target.name == ".." or text.endswith(("/", os.sep)):
        raise _cannot(text, "it names a directory", help="add the file's name")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _cannot(text, f"the directory `{_short(parent)}` is read-only")


def _check_existing(
    target: Path,
    found: os.stat_result,
    inputs: Iterable[str | os.PathLike[str]],
    force: bool,
    mine: Callable[[Path], bool] | None,
) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise _cannot(target, "it is a directory", help="add the file's name")
    link = stat.S_ISLNK(found.st_mode)
    if not link and not stat.S_ISREG(found.st_mode):
        raise _cannot(target, "it is not a regular file")
    for given in inputs:
        if _same_file(target, given):
            raise error(
                "E0702",
                f"`{_short(target)}` is read here: it will not be overwritten",
                status=2,
                help="write to another name",
            )
    if force:
        return
    if not link and not found.st_mode & stat.S_IWUSR:
        raise _cannot(target, "the file is read-only", help="`--force` replaces it")
    if link or mine is None or not mine(target):
        kind = "symbolic link" if link else "file"
        raise error(
            "E0703",
            f"the {kind} `{_short(target)}` exists, and archdsl did not write it for this purpose",
            status=2,
            help="another name, or `--force` to replace it",
        )


def _same_file(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):
        return False


class NotRegular(Exception):
    """A directory, a pipe or a device stands where a file was expected."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file opened for reading. Never waits: opening a pipe that nobody writes to would, for ever.

    Raises NotRegular, OSError, or ValueError for a name with a NUL character.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise NotRegular
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # another stands there by now
        file.close()
        raise NotRegular
    return file


def require_space(target: Path, need: int, code: str = "E0704", what: str = "") -> None:
    """Raises `code` unless the target's disk has `need` free bytes; `what` (the target) is said to need them."""
    if need <= 0:
        return
    free = shutil.disk_usage(target.parent).free
    if free < need:
        raise error(code, f"`{what or _short(target)}` needs {need:,} bytes; the disk has {free:,} free", status=2)


def sweep(directory: Path) -> None:
    """Removes what processes that are no more left behind in the directory."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and not _alive(int(match[1])) and not _locked(entry.path):
                with suppress(OSError):
                    os.unlink(entry.path)


def _alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _locked(path: str) -> bool:
    """Whether someone writes the file: a process in another container has a number that means nothing here."""
    if sys.platform == "win32":
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _open_temporary(target: Path) -> Output:
    path = target.parent / f".archdsl-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as failure:
        _refuse(target, failure)
    with suppress(OSError):
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            old = os.lstat(target)
            if stat.S_ISREG(old.st_mode):  # a private file stays private
                os.fchmod(handle, stat.S_IMODE(old.st_mode) & 0o777 | stat.S_IWUSR)
    return Output(target, path, Straight(handle))


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(directory: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _short(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text if len(text) <= 120 else f"{text[:60]}...{text[-50:]}"


def _cannot(path: str | os.PathLike[str], why: str, help: str = "") -> ArchError:
    return error("E0701", f"cannot write `{_short(path)}`: {why}", status=2, help=help)


def _refuse(path: Path, failure: OSError | ValueError) -> NoReturn:
    if isinstance(failure, OSError) and failure.errno in _FULL:
        raise error("E0704", f"cannot write `{_short(path)}`: the disk is full", status=2) from failure
    why = (failure.strerror if isinstance(failure, OSError) else None) or str(failure)
    raise _cannot(path, why[:1].lower() + why[1:]) from failure
