"""Files of repositories at Hugging Face, through huggingface_hub and its cache, which timm uses as well."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import ArchError
from archdsl.files.atomic import sha256
from archdsl.packages import require_package
from archdsl.pretrained.registries import of_timm
from archdsl.pretrained.release import (
    MAX_BYTES,
    About,
    is_offline,
    not_here,
    unavailable,
    unknown,
    wrong_hash,
)

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The names that weights have by convention, in order."""
_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>[\w./ -]+))?", re.ASCII)
_MAX_TEXT = 1 << 22
_MAX_BLOB = 1 << 26
"""Hugging Face keeps larger files by their SHA-256."""


class Repository(NamedTuple):
    """A repository at a revision: a branch, a tag or a commit; None: its default branch."""

    id: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.id}" + (f"@{self.revision}" if self.revision else "")


def hub_set(text: str) -> tuple[str, str, Path, str, About]:
    """Return the full name of `org/name[@revision][/file]`, with the commit, its address, path, SHA-256, and what the
    repository states of it. Raises E0621 to E0623, E0807 without huggingface_hub."""
    match = _NAME.fullmatch(text)
    if match is None or ".." in text:
        raise unknown(f"`hf:{text[:120]}` is not a name of weights", "write `hf:org/name`, `hf:org/name@revision/file`")
    repository = Repository(match["repository"], match["revision"])
    path, digest = weights_file(repository, match["file"])
    commit = path.parts[path.parts.index("snapshots") + 1] if "snapshots" in path.parts else repository.revision
    file = match["file"] or path.name
    at = Repository(repository.id, commit)
    url = f"https://huggingface.co/{repository.id}/blob/{commit or 'main'}/{file}"
    return f"{at}/{file}", url, path, digest, _about(at)


def weights_file(repository: Repository, file: str | None = None) -> tuple[Path, str]:
    """Return the path of a weights file, by default of the first name of `WEIGHTS` that it has, and its SHA-256."""
    require_package("huggingface_hub")
    for name in (file,) if file else WEIGHTS:
        path = _file(repository, name)
        if path is not None:
            return path, _checked(path, f"{repository}/{name}")
    if is_offline():
        raise not_here(f"{repository}/{file or WEIGHTS[0]}")
    raise unknown(f"`{repository}` has no file `{file or ' or '.join(WEIGHTS)}`", _files_hint(repository))


def _files_hint(repository: Repository) -> str:
    from huggingface_hub import list_repo_files

    try:
        files = [f for f in list_repo_files(repository.id, revision=repository.revision) if f.endswith(_SUFFIXES)]
    except Exception:  # the answer only extends an error
        return ""
    return f"name one of its files: {', '.join(sorted(files)[:10])}" if files else "it contains no weights"


_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")


def _file(repository: Repository, name: str, most: int = MAX_BYTES) -> Path | None:
    """The path of a file in the cache, fetched if it is not there; None if the repository, or offline the cache, has no
    such file. Without a connection the file in the cache is used."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    what, problem = f"{repository}/{name}", None
    if not is_offline():
        try:
            size = get_hf_file_metadata(hf_hub_url(repository.id, name, revision=repository.revision)).size or 0
            if size > most:
                raise unavailable(what, f"it has {size:,} bytes; the maximum is {most:,}")
            return Path(hf_hub_download(repository.id, name, revision=repository.revision))
        except ArchError:
            raise
        except EntryNotFoundError as missing:
            if not isinstance(missing, LocalEntryNotFoundError):
                return None
            problem = missing.__cause__ or missing
        except Exception as any_kind:  # the package raises errors of its HTTP client, of the hub, and OSError
            problem = any_kind
    # `hf_hub_download(local_files_only=True)` makes requests of its own; this one only reads the cache.
    cached = try_to_load_from_cache(repository.id, name, revision=repository.revision)
    if isinstance(cached, str):
        return Path(cached)
    if problem is not None:
        raise unavailable(what, _reason(problem))
    return None


def _reason(problem: BaseException) -> str:
    name = type(problem).__name__
    known = {
        "RepositoryNotFoundError": "there is no such repository, or it is private",
        "GatedRepoError": "its owner must grant access: log in with `hf auth login`",
        "RevisionNotFoundError": "it has no such revision",
        "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
    }
    return known.get(name) or f"{name}: {_line(problem)}"


def _line(problem: object) -> str:
    return " ".join(str(problem).split())[:160]


def _checked(path: Path, what: str) -> str:
    """The SHA-256 of a file, after a check of the hash by which the cache names it: SHA-256, or that of git."""
    digest, published = sha256(path), path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", published) and published != digest:
        raise wrong_hash(what, published, digest)
    if re.fullmatch("[0-9a-f]{40}", published) and path.stat().st_size <= _MAX_BLOB:
        content = path.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if blob != published:
            raise wrong_hash(what, published, blob, "git hash")
    return digest


def _about(repository: Repository) -> About:
    """The licence on the card of a repository, and the preprocessing and labels in a configuration of timm."""
    from huggingface_hub import metadata_load

    card, config = _file(repository, "README.md", _MAX_TEXT), _file(repository, "config.json", _MAX_TEXT)
    about = About()
    try:
        data = json.loads(config.read_text(encoding="utf-8")) if config is not None else {}
        if isinstance(data, dict) and isinstance(data.get("pretrained_cfg"), dict):
            about = of_timm({"num_classes": data.get("num_classes"), **data["pretrained_cfg"]})
        stated = (metadata_load(card) or {}).get("license") if card is not None else None
    except Exception:  # a stranger's text, of which only known facts are used
        return about
    return about._replace(licence=str(stated)[:100]) if isinstance(stated, str) else about
