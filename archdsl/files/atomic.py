"""Output files: each is written under a temporary name and moved into place when it is complete.

If the process is killed, the old file (or no file) remains, never a partial one. A leftover temporary file is named
`.archdsl-<process id>-<random>`; the next run that writes into the same directory removes it.
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
from archdsl.files.disk import DirectFile

if sys.platform != "win32":
    import fcntl

_TEMPORARY = re.compile(r"\.archdsl-([1-9][0-9]{0,9})-[0-9a-f]{12}")
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written, with its `size` in bytes."""

    path: Path
    size: int

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file's current contents, in hexadecimal. Reading and hashing takes longer than writing."""
        return sha256(self.path)


class OutputFile:
    """A file being written. `path` is its temporary name; `written` is set when the file is in place."""

    def __init__(self, target: Path, path: Path, file: DirectFile) -> None:
        self.target, self.path = target, path
        self.written: WrittenFile | None = None
        self.size = 0
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append the bytes. Raises E0704 if the disk is full, E0701 on any other failure."""
        view = memoryview(data).cast("B") if data else memoryview(b"")
        try:
            self._file.write(view)
        except OSError as failure:
            _raise_write_error(self.target, failure)
        self.size += len(view)
        return len(view)

    def flush(self, sync: bool = False) -> None:
        """Pass all bytes to the operating system; with `sync`, wait until the disk has them. Raises as `write` does."""
        try:
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as failure:
            _raise_write_error(self.target, failure)

    def commit(self, sync: bool = True) -> None:
        """Move the file into place; with `sync`, after the disk has its bytes. Call it once.

        The caller may set another `target` before. Raises as `write` does.
        """
        self.flush(sync)
        try:
            self._finish()
            if sync:
                _sync_directory(self.target.parent)
        except OSError as failure:
            _raise_write_error(self.target, failure)

    def _finish(self) -> None:
        self._file.close()
        size = self.size or self.path.stat().st_size  # another program may have written to `path`
        os.replace(self.path, self.target)
        self.written = WrittenFile(self.target, size)


@contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    replaceable: Callable[[Path], bool] | None = None,
    required_bytes: int = 0,
    sync: bool = True,
) -> Iterator[OutputFile]:
    """Write a new file at `path`, completely or not at all.

    Write to the `OutputFile`, or let another program write to its `path`. The target is replaced when the `with` block
    succeeds, and unchanged when it raises. `inputs`, `force` and `replaceable` are those of `check_target`;
    `required_bytes` must be free on the disk; `sync` waits until the disk has the bytes, so a power failure leaves no
    partial file. Several files that belong together are first written, then committed in turn under `directory_lock`.

    Raises E0701 if the file cannot be written here, E0702 if it is an input, E0703 if it exists, E0704 if the disk is
    full.
    """
    target = check_target(path, inputs=inputs, force=force, replaceable=replaceable)
    remove_leftovers(target.parent)
    require_space(target, required_bytes)
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
def directory_lock(directory: Path) -> Iterator[None]:
    """Lock the directory while several files are moved into place: other archdsl processes wait."""
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
    replaceable: Callable[[Path], bool] | None = None,
) -> Path:
    """Return the path if a file may be written there.

    An existing file may be replaced with `force`, or if `replaceable` accepts it: archdsl wrote it for this purpose.
    A symbolic link is never followed; `force` replaces the link itself.

    Raises E0701 if no file can be written here, E0702 if it would overwrite one of `inputs`, E0703 if it would
    overwrite another file.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise _cannot_write(text, "its name contains a NUL character")
    target = Path(text)
    try:
        _check_directory(target, text)
        status = os.lstat(target)
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as failure:
        _raise_write_error(target, failure)
    _check_existing(target, status, inputs, force, replaceable)
    return target


def _check_directory(target: Path, text: str) -> None:
    parent = target.parent
    try:
        if not stat.S_ISDIR(os.stat(parent).st_mode):
            raise _cannot_write(text, f"`{_short(parent)}` is not a directory")
    except FileNotFoundError:
        raise _cannot_write(text, f"there is no directory `{_short(parent)}`", help="create it first") from None
    if not target.name or target.name == ".." or text.endswith(("/", os.sep)):
        raise _cannot_write(text, "it names a directory", help="add a file name")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _cannot_write(text, f"the directory `{_short(parent)}` is read-only")


def _check_existing(
    target: Path,
    status: os.stat_result,
    inputs: Iterable[str | os.PathLike[str]],
    force: bool,
    replaceable: Callable[[Path], bool] | None,
) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _cannot_write(target, "it is a directory", help="add a file name")
    link = stat.S_ISLNK(status.st_mode)
    if not link and not stat.S_ISREG(status.st_mode):
        raise _cannot_write(
            target, "it is not a regular file", help="`-o -` writes to standard output, which a shell can redirect"
        )
    if any(_same_file(target, source) for source in inputs):
        raise error(
            "E0702", f"cannot overwrite `{_short(target)}`: it is an input", status=2, help="choose another output file"
        )
    if force:
        return
    if not link and not status.st_mode & stat.S_IWUSR:
        raise _cannot_write(target, "the file is read-only", help="replace it with `--force`")
    if link or replaceable is None or not replaceable(target):
        kind = "symbolic link" if link else "file"
        edited = replaceable is None and not link
        reason = "it may contain changes of yours" if edited else "archdsl did not write it for this purpose"
        raise error(
            "E0703",
            f"the {kind} `{_short(target)}` already exists, and {reason}",
            status=2,
            help="choose another name, or replace it with `--force`",
        )


def _same_file(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):
        return False


class NotRegular(Exception):
    """The path is a directory, a pipe or a device, not a regular file."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading. It never blocks, unlike opening a pipe that has no writer.

    Raises NotRegular, OSError, or ValueError for a name with a NUL character.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise NotRegular
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # replaced since the check above
        file.close()
        raise NotRegular
    return file


def require_space(target: Path, size: int, code: str = "E0704", what: str = "") -> None:
    """Raise `code` if the target's disk has fewer than `size` free bytes. `what` replaces the target in the message."""
    if size <= 0:
        return
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise error(code, f"`{what or _short(target)}` needs {size:,} bytes; the disk has {free:,} free", status=2)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files of processes that no longer run."""
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
    """Whether a process holds the file's lock: the id of a process in another container means nothing here."""
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


def _open_temporary(target: Path) -> OutputFile:
    path = target.parent / f".archdsl-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as failure:
        _raise_write_error(target, failure)
    with suppress(OSError):
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            old = os.lstat(target)
            if stat.S_ISREG(old.st_mode):  # keep the permissions: a private file stays private
                os.fchmod(handle, stat.S_IMODE(old.st_mode) & 0o777 | stat.S_IWUSR)
    return OutputFile(target, path, DirectFile(handle))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
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


def _cannot_write(path: str | os.PathLike[str], why: str, help: str = "") -> ArchError:
    return error("E0701", f"cannot write `{_short(path)}`: {why}", status=2, help=help)


def _raise_write_error(path: Path, failure: OSError | ValueError) -> NoReturn:
    if isinstance(failure, OSError) and failure.errno in _FULL:
        raise error("E0704", f"cannot write `{_short(path)}`: the disk is full", status=2) from failure
    raise _cannot_write(path, reason(failure)) from failure


def reason(problem: Exception) -> str:
    """Return why a file could not be used, in one line that begins with a small letter."""
    text = (problem.strerror if isinstance(problem, OSError) else None) or str(problem) or type(problem).__name__
    text = " ".join(text.split())[:300]
    return text[:1].lower() + text[1:]


def make_folder(folder: Path) -> None:
    """Create a folder and those that contain it. Raises E0701."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise error("E0701", f"cannot create the folder `{str(folder)[-120:]}`: {reason(problem)}", status=2) from None
