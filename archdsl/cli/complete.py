"""What the Tab key proposes for the values of arguments and options, and the script of bash.

A completer reads names and files only. It proposes nothing if something is wrong: a shell has no place for a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeAlias

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

VARIABLE = "_ARCHDSL_COMPLETE"
"""The environment variable with which a shell's script asks for completions."""
_MOST = 200
"""The most files that are proposed."""
Item: TypeAlias = CompletionItem[Any]
Completer: TypeAlias = Callable[[click.Context, click.Parameter | None, str], list[Item]]


def _quietly(propose: Callable[[click.Context, str], Iterable[str | Item]]) -> Completer:
    """The completer that keeps what begins with the typed word. `(name, text)` is a name with a description."""

    @wraps(propose)
    def complete(ctx: click.Context, param: click.Parameter | None, word: str) -> list[Item]:
        try:
            items = [item if isinstance(item, CompletionItem) else CompletionItem(item) for item in propose(ctx, word)]
        except Exception:
            return []
        return [item for item in items if item.type != "plain" or item.value.startswith(word)]

    return complete


@_quietly
def files(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """Names of files, by the shell itself."""
    return [CompletionItem(word, type="file")]


@_quietly
def folders(ctx: click.Context, word: str) -> Iterable[str | Item]:
    return [CompletionItem(word, type="dir")]


@_quietly
def networks(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """Networks of the library."""
    from archdsl.spec.find import library_names

    return library_names()


@_quietly
def specs(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """Networks of the library and files; after `#`, the networks of that file."""
    from pathlib import Path

    from archdsl.spec.find import find_spec, library_names, names_of

    head, mark, _ = word.partition("#")
    if mark:
        own, variants = names_of(Path(find_spec(head).path))
        return [f"{head}#{name}" for name in (own, *variants)]
    return [*_readable(word), *library_names()]


def _readable(word: str) -> list[Item]:
    """The specs, models and folders that begin with a word, sorted; any file by the shell if there are none."""
    from glob import escape
    from pathlib import Path

    from archdsl.spec.find import SUFFIXES

    typed, read = Path(f"{word}*"), (*SUFFIXES, ".onnx")
    found = sorted(
        path
        for path in typed.parent.glob(f"{escape(typed.name[:-1])}*")
        if path.is_dir() or path.suffix.lower() in read
    )
    prefix = word[: len(word) - len(typed.name) + 1]
    names = [prefix + path.name for path in found[:_MOST] if word or not path.name.startswith(".")]
    return [CompletionItem(name, type="file") for name in names] or [CompletionItem(word, type="file")]


@_quietly
def blocks(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """The next part of a path in the networks that the command line names."""
    from archdsl.diagnostics import ArchError
    from archdsl.network import open_network

    # click has no arguments if an option lacks its value: these words are SPECs, and images of `predict`.
    named = ctx.params.get("specs") or ctx.params.get("model") or ctx.args
    paths: list[str] = []
    for spec in [named] if isinstance(named, str) else named:
        with suppress(ArchError):
            scopes = open_network(spec, ctx.params.get("args") or {}, partial=True).graph.root.walk()
            paths += [scope.path for scope in scopes if scope.path.startswith(word)]
    depth = word.count(".") + 1
    paths = [".".join(path.split(".")[:depth]) for path in paths]
    return dict.fromkeys(filter(None, paths))


@_quietly
def codes(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """Codes of diagnostics with their titles."""
    from archdsl import explain

    chosen = [code for code in explain.codes() if code.startswith(word.upper())]
    return [CompletionItem(word + code[len(word) :], help=explain.page(code).title) for code in chosen]


@_quietly
def passes(ctx: click.Context, word: str) -> Iterable[str | Item]:
    from archdsl.passes.optimise import PASSES

    return PASSES


@_quietly
def commands(ctx: click.Context, word: str) -> Iterable[str | Item]:
    """Commands with their descriptions."""
    root = ctx.find_root()
    return root.command.shell_complete(root, word)


def one_of(*names: str) -> Completer:
    """Return the completer of an option that checks its value itself."""
    return _quietly(lambda ctx, word: names)


class Bash(BashComplete):
    """click's completion for bash, which proposes files together with names: click's own offers one or the other."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    while IFS=',' read -r type value; do
        if [[ $type == plain ]]; then
            COMPREPLY+=("$value")
        elif [[ $type == file || $type == dir ]]; then
            compopt -o filenames
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -A ${type/dir/directory} -- "$value")
        fi
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


add_completion_class(Bash)
