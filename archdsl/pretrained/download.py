"""Fetch a file over https, or find it in a cache: complete, not too large, and with the hash that is known of it."""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, url2pathname

from archdsl.diagnostics import ArchError
from archdsl.files.atomic import atomic_write, sha256
from archdsl.files.cache import cache_folder
from archdsl.pretrained.release import MAX_BYTES, WATCH, is_offline, not_here, unavailable, unknown, wrong_hash
from archdsl.progress import watched
from archdsl.version import __version__

_TIMEOUT_S = 30
_MAX_REDIRECTS = 5
_CHUNK = 1 << 20


def local_file(url: str, hash: str) -> tuple[Path, str]:
    """Return the path of a `file://` address, and its SHA-256, which must begin with `hash`. Raises E0621, E0623."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise unknown(f"`{url[:200]}` is not a file on this machine", help="write file:///folder/weights.safetensors")
    path = Path(url2pathname(parts.path))
    return path, _checked(path, url, hash) if path.is_file() else ""


def fetch(url: str, hash: str = "", caches: Iterable[Path] = ()) -> tuple[Path, str]:
    """Return the path of the file at an https address, and its SHA-256, which must begin with `hash`.

    It is looked for in archdsl's cache, then under its name in `caches`, folders of other programs, if its hash is
    known; else it is downloaded into archdsl's cache. Raises E0622 if it cannot be fetched, E0623 for another hash.
    """
    name = re.sub(r"[^\w.-]+", "_", unquote(urlsplit(url).path).rpartition("/")[2])[-100:] or "weights"
    try:
        folder = cache_folder() / "weights"
    except RuntimeError:
        raise unavailable(url, "there is no cache folder", "set ARCHDSL_CACHE") from None
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    known = [path, *(other / name for other in caches if hash)]
    for place in known:
        digest = sha256(place) if place.is_file() else ""
        if digest and digest.startswith(hash):
            return place, digest
    if is_offline():
        raise not_here(url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise unavailable(url, f"cannot create the cache folder {folder}: {problem.strerror}") from None
    _download(url, path, hash)
    return path, sha256(path)


def _checked(path: Path, name: str, hash: str) -> str:
    digest = sha256(path)
    if not digest.startswith(hash):
        raise wrong_hash(name, hash, digest)
    return digest


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to https only."""

    max_redirections = _MAX_REDIRECTS

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise URLError(f"it redirects to `{newurl[:100]}`, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, path: Path, hash: str) -> None:
    request = Request(url, headers={"User-Agent": f"archdsl/{__version__}", "Accept-Encoding": "identity"})
    try:
        with build_opener(_Redirects).open(request, timeout=_TIMEOUT_S) as response:
            _save(url, response, path, hash)
    except ArchError:
        raise
    except HTTPError as problem:
        problem.close()
        raise unavailable(url, f"the server answers {problem.code} {_line(problem.reason)}") from None
    except URLError as problem:
        reason = problem.reason
        why = reason.strerror if isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError) else None
        raise unavailable(url, _line(why or reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise unavailable(url, _line(str(problem) or type(problem).__name__)) from None


def _line(text: object) -> str:
    return " ".join(str(text).split())[:160]


def _save(url: str, response: Any, path: Path, hash: str) -> None:
    """Write the body to `path` if it is complete and has the hash."""
    stated = response.headers.get("Content-Length", "")
    size = int(stated) if stated.isdigit() else None
    if size is not None and size > MAX_BYTES:
        raise unavailable(url, f"it has {size:,} bytes; the maximum is {MAX_BYTES:,}")
    digest, got = hashlib.sha256(), 0
    progress = watched(WATCH.get() if size else None, f"fetching {path.name.partition('-')[2]}")
    with atomic_write(path, force=True, required_bytes=size or 0) as file:
        while chunk := response.read(_CHUNK):
            got += len(chunk)
            if got > MAX_BYTES:
                raise unavailable(url, f"it has more than {MAX_BYTES:,} bytes")
            digest.update(chunk)
            file.write(chunk)
            progress(got, size or got)
        if size is not None and got < size:
            raise unavailable(url, f"the transfer ended after {got:,} of {size:,} bytes")
        if not digest.hexdigest().startswith(hash):
            raise wrong_hash(url, hash, digest.hexdigest())
