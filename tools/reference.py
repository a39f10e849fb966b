"""Generates the pages of the reference from the code, for the site: `docs/conf.py` calls `write` before each build."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Container, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

_CODE = re.compile(r"(?<![\w\[/])`?([EWN]0\d{3})`?(?!\w)")
FENCES = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"(`+[^`]+`+)")


def write(folder: Path) -> None:
    """Write every page that changed, and remove pages that no longer exist."""
    texts = {folder / name: text for name, text in pages()}
    for path in folder.rglob("*.md"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name of each page below `docs/reference/` and its text."""
    yield from commands()
    yield from python()
    yield "keys.md", keys()
    yield from diagnostics()


def outside(code: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """Return a text whose parts between matches of `code`, a pattern with one group, are changed."""
    parts = code.split(text)
    parts[::2] = map(change, parts[::2])
    return "".join(parts)


def _toctree(names: Iterator[str] | list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", "", *names, "```", ""])


# --- diagnostics -----------------------------------------------------------------------------------------


def diagnostics() -> Iterator[tuple[str, str]]:
    """Yield a page for each code, and their index by family."""
    from archdsl import explain

    codes = {code: explain.page(code) for code in explain.codes()}
    for code, page in codes.items():
        title, end, rest = page.text.partition("\n")
        link = partial(_code_link, own=code, codes=codes)
        yield f"diagnostics/{code}.md", title + end + outside(FENCES, rest, partial(_CODE.sub, link))
    lines = [
        "# Errors, warnings and notes",
        "",
        "Each diagnostic has a code and a page: E is an error, W a warning, N a note. `archdsl explain E0412` prints",
        "the same page.",
    ]
    family = ""
    for code, page in codes.items():
        if page.family != family:
            family = page.family
            lines += ["", f"## {family}", ""]
        lines.append(f"* [{code}]({code}.md): {page.title}")
    yield "diagnostics/index.md", "\n".join(lines) + "\n" + _toctree([*codes])


def _code_link(match: re.Match[str], own: str, codes: Container[str]) -> str:
    code = match[1]
    return f"[{code}]({code}.md)" if code != own and code in codes else match[0]


# --- command line ----------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """Yield a page for each command, with its subcommands, and their table."""
    import click

    from archdsl.cli import SECTIONS, main

    context = click.Context(main, info_name="archdsl")
    lines = [
        "# Command line",
        "",
        "`archdsl COMMAND --help` prints the text of each page. The exit status is 0 for success, 1 if a spec, a",
        "weights file, a model or an image is wrong, 2 for wrong usage or a missing package or device, and 130 after",
        "an interrupt.",
    ]
    names = []
    for title, section in SECTIONS.items():
        lines += ["", f"## {title}", "", "| command | |", "|---|---|"]
        for name, line in section.items():
            names.append(name)
            lines.append(f"| [`archdsl {name}`]({name}.md) | {line} |")
            yield f"cli/{name}.md", "\n".join(_command(main.get_command(context, name), context, name, 1)) + "\n"
    yield "cli/index.md", "\n".join(lines) + "\n" + _toctree(names)


def _command(command: Any, parent: Any, name: str, level: int) -> Iterator[str]:
    """Usage, help, example and options of a command, then its subcommands."""
    import click

    context = click.Context(command, info_name=name, parent=parent)
    yield f"{'#' * level} {context.command_path}"
    yield ""
    text, _, example = command.get_help(context).partition("\n  Example:\n")
    yield from ["```text", text.partition("\n\n")[0].removeprefix("Usage: ").strip(), "```", ""]
    yield from [_prose(inspect.cleandoc(command.help or "")), ""]
    if example:
        yield from ["```text", textwrap.dedent(example).strip(), "```", ""]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield from [f"`{record[0]}`", f": {escaped(' '.join(record[1].split()))}", ""]
    for sub, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, context, sub, level + 1)


def escaped(text: str) -> str:
    """Return a help text or docstring as Markdown in which a star outside of code is a star, not emphasis."""
    return outside(_INLINE_CODE, text, lambda part: re.sub(r"(?<!\\)\*(?!\s)", r"\\*", part))


def _prose(text: str) -> str:
    """A help text or docstring as Markdown: its examples become blocks of code, as does what `\\b` keeps unwrapped."""
    parts = []
    for paragraph in re.split(r"\n{2,}", text):
        if paragraph.startswith("\b"):
            parts.append("```text\n" + textwrap.dedent(paragraph.removeprefix("\b").strip("\n")) + "\n```")
        elif paragraph.startswith(">>> "):
            parts.append(f"```python\n{paragraph}\n```")
        else:
            parts.append(escaped(paragraph))
    return "\n\n".join(parts)


# --- Python ----------------------------------------------------------------------------------------------


def python() -> Iterator[tuple[str, str]]:
    """Yield a page for each public name: signature, docstring, and the class of what a function returns."""
    import archdsl

    lines = ["# Python", "", _prose(inspect.getdoc(archdsl) or "").partition("\n\n")[2], "", "| name | |", "|---|---|"]
    for name in archdsl.__all__:
        value = getattr(archdsl, name)
        lines.append(f"| [`{name}`]({name}.md) | {_summary(value)} |")
        page = [f"# archdsl.{name}", "", *_entry(name, value, 2)]
        returned = returned_class(value)
        if returned is not None and returned.__name__ not in archdsl.__all__:
            page += [f"## {returned.__name__}", "", *_entry(returned.__name__, returned, 3)]
        elif returned is not None:
            page += [f"Returns [`{returned.__name__}`]({returned.__name__}.md).", ""]
        link = partial(_CODE.sub, r"[\1](../diagnostics/\1.md)")
        yield f"python/{name}.md", outside(FENCES, "\n".join(page), link)
    yield "python/index.md", "\n".join(lines) + "\n" + _toctree(archdsl.__all__)


def _summary(value: Any) -> str:
    first = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return escaped(re.split(r"(?<=[.]) |\n\n", first)[0]).replace("|", "\\|")


def returned_class(value: Any) -> type | None:
    """Return the class of archdsl that a function returns, found through its module's imports."""
    name = getattr(value, "__annotations__", {}).get("return") if inspect.isfunction(value) else None
    if name is None:
        return None
    module = sys.modules[value.__module__]
    places = {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    found = getattr(module, name, None) or (name in places and getattr(import_module(places[name]), name, None))
    return found if inspect.isclass(found) and found.__module__.startswith("archdsl") else None


def _entry(name: str, value: Any, level: int) -> Iterator[str]:
    """Signature and docstring of a function or class; of a class also its fields, properties and methods."""
    yield from ["```python", _signature(name, value), "```", ""]
    doc = inspect.getdoc(value) or ""
    if not doc.startswith(f"{name}("):  # what dataclass writes if there is none
        yield from [_prose(doc), ""]
    if not inspect.isclass(value):
        return
    fields = _fields(value)
    for field, (kind, text) in fields.items():
        if text:
            yield from [f"`{field}`: `{kind}`", f": {text}", ""]
    for member in dir(value):
        found = inspect.getattr_static(value, member)
        own = getattr(found, "func", None) or getattr(found, "fget", None) or getattr(found, "__func__", found)
        if member.startswith("_") or member in fields or not getattr(own, "__module__", "").startswith("archdsl"):
            continue
        if inspect.isfunction(own):
            is_method = inspect.isfunction(found) or isinstance(found, (classmethod, staticmethod))
            kind = "" if is_method else f": {own.__annotations__.get('return', '')}"
            shown = _signature(member, own) if is_method else f"{member}{kind}"
            yield from [f"{'#' * level} {value.__name__}.{member}", "", "```python", shown, "```", ""]
            yield from [_prose(inspect.getdoc(own) or ""), ""]


def _fields(value: type) -> dict[str, tuple[str, str]]:
    """The annotated fields of a class and its bases: type, and the docstring that follows the field."""
    fields: dict[str, tuple[str, str]] = {}
    for base in reversed(value.__mro__):
        if not base.__module__.startswith("archdsl"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
                is_doc = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                text = " ".join(str(after.value.value).split()) if is_doc else ""  # type: ignore[union-attr]
                fields[ast.unparse(node.target)] = (ast.unparse(node.annotation), text)
    return fields


def _signature(name: str, value: Any) -> str:
    """The signature as in the source, one parameter per line if it is long."""

    class Shown:
        def __init__(self, text: object) -> None:
            self.text = str(text).rpartition("._")[2] if str(text).startswith("<") else str(text)

        def __repr__(self) -> str:
            return self.text

    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    parameters = [
        p.replace(annotation=p.annotation if p.annotation is p.empty else Shown(p.annotation))
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]
    arrow = (
        "" if signature.return_annotation in (signature.empty, "None", None) else f" -> {signature.return_annotation}"
    )
    line = f"{name}{signature.replace(parameters=parameters, return_annotation=signature.empty)}{arrow}"
    if len(line) <= 88:
        return line
    inner: list[str] = []
    for number, parameter in enumerate(parameters):
        before = parameters[number - 1].kind if number else None
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            inner.append("*")
        inner.append(str(parameter))
        after = parameters[number + 1].kind if number + 1 < len(parameters) else None
        if parameter.kind is parameter.POSITIONAL_ONLY and after is not parameter.POSITIONAL_ONLY:
            inner.append("/")
    return f"{name}(\n" + "".join(f"    {part},\n" for part in inner) + f"){arrow}"


# --- keys of the language --------------------------------------------------------------------------------

_FORMS = {
    "DocumentForm": "A spec",
    "Common": "Every node",
    "CallForm": "A call of a block",
    "DoForm": "`do`",
    "ResidualForm": "`residual`",
    "BranchesForm": "`branches`",
    "InceptionForm": "`inception`",
    "DenseForm": "`dense`",
    "Defaults": "`defaults`",
    "AuxForm": "`aux`: each head",
    "PaperForm": "`paper`",
    "Preprocess": "`preprocess`",
    "Claims": "`claims`",
    "ClaimForm": "`claims`: each claim in its long form",
}


def keys() -> str:
    """Return the page of all keys: those of every model that reads a part of a spec."""
    lines = [
        "# Keys of a spec",
        "",
        "Every key of the language, by the part of the spec. [The language](../language.md) explains them with",
        "examples, and [the ops](../ops.md) have the fields of each op. `archdsl schema` prints the same as a JSON",
        "Schema, with which editors complete and check specs; the repository has it as",
        "[archdsl.schema.json](../archdsl.schema.json).",
    ]
    for form, fields in key_tables().items():
        lines += ["", f"## {_FORMS.get(form, form)}", "", "| key | |", "|---|---|"]
        lines += [f"| `{name}` | {text} |" for name, text in fields.items()]
    return "\n".join(lines) + "\n"


def key_tables() -> dict[str, dict[str, str]]:
    """Return the description of every key, by the model that reads it; keys of every node only under `Common`."""
    from pydantic import BaseModel

    from archdsl.language.schema import models

    found = {name: form for name, form in vars(models).items() if inspect.isclass(form) and issubclass(form, BaseModel)}
    common = set(models.Common.model_fields)
    tables: dict[str, dict[str, str]] = {}
    for name in sorted(found, key=lambda name: [*_FORMS, name].index(name)):
        form = found[name]
        fields = {
            field.alias or key: _described(field)
            for key, field in form.model_fields.items()
            if form is models.Common or not (issubclass(form, models.Common) and key in common)
        }
        if fields and not name.startswith("_"):
            tables[name] = fields
    return tables


def _described(field: Any) -> str:
    text = escaped(field.description or "").replace("|", "\\|")
    return text + (
        f"; by default `{field.default}`" if field.default not in (None, ...) and not field.is_required() else ""
    )
