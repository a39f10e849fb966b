"""Clear messages, at the right position, for the syntax errors of PyYAML."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from archdsl.diagnostics import ArchError, Edit, Fix, Label, Proposal, Source, Span, error, replacing
from archdsl.source.brackets import depths, unmatched
from archdsl.source.faults import quote_help, reading, tag_error, too_deep, word_span
from archdsl.source.limits import MAX_DEPTH

_NODE_KEYS = ("repeat", "as", "from", "when", "then")
"""Keys that people write below a node that is one line already."""


class Syntax:
    """Turns an error of PyYAML into one message at the position where a reader expects it."""

    def __init__(self, source: Source, problem: yaml.MarkedYAMLError, in_flow: bool, end: int) -> None:
        self.source = source
        self.text = source.text
        self.problem: str = problem.problem or "this is not YAML"
        self.context: str = problem.context or ""
        self.in_flow = in_flow
        self.end = end  # the end of the last complete token: the parser reads far ahead of it
        mark, opened = problem.problem_mark, problem.context_mark
        self.at = min(mark.index if mark else 0, len(self.text))
        self.opened = min(opened.index if opened else self.at, len(self.text))
        self.char = self.text[self.at : self.at + 1]
        self.shown = f"`{self.char}`" if self.char.strip() else "the end of the line"

    def error(self) -> ArchError:
        """Return E0101, or E0103 for an unknown tag, E0106 for deep nesting, E0108 for an invalid character, E0113 for
        brackets inside brackets."""
        if "nesting depth" in self.problem:  # since 0.2.6 libyaml reads at most 1,000 levels ahead
            raise too_deep(word_span(self.source, self.first_too_deep()))
        if "\t" in self.indentation() and (self.first_on_line() or self.char == "\t"):
            self.fail("a tab in the indentation", self.at, help="use spaces", fixes=self.untabbed())
        self.nested()
        if "unexpected ':'" in self.problem:
            self.fail("a `:` needs a space after it", self.opened)
        if "tag handle" in self.problem or "a tag" in self.context:
            raise tag_error(word_span(self.source, self.text.find("!", self.opened)))
        if "Unicode character escape" in self.problem:
            span = Span(self.source, self.at, self.at + 4)
            raise error("E0108", "this escape is not a valid character", span)
        if "quoted scalar" in self.context:
            self.quoted()
        if "alias" in self.context or "anchor" in self.context:
            self.alias()
        if "cannot start any token" in self.problem:
            help_ = "quote the whole value" if self.char.strip() else ""
            self.fail(f"a value cannot begin with {self.shown}", self.at, help=help_)
        if "flow" in self.context or self.in_flow:
            self.flow()
        self.block()

    def first_too_deep(self) -> int:
        """The first bracket after `end` that is nested too deeply, else the position of the error."""
        flow = depths(self.text[self.end : self.at], "[{", "]}")
        return next((self.end + at for at, _, depth in flow if depth > MAX_DEPTH), self.at)

    def fail(self, message: str, at: int, label: str = "", **more: Any) -> NoReturn:
        raise error("E0101", message, word_span(self.source, at), label=label, **more)

    def indentation(self) -> str:
        start = self.text.rfind("\n", 0, self.at) + 1
        line = self.text[start : self.at + 1]
        return line[: len(line) - len(line.lstrip())]

    def first_on_line(self) -> bool:
        return not self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at].strip()

    def untabbed(self) -> tuple[Fix, ...]:
        """The fix that indents by two spaces for each tab; none if the file is also indented by spaces."""
        indents = [*re.compile(r"^[ \t]+(?=[^\s#])", re.MULTILINE).finditer(self.text)]
        if any(" " in indent[0] for indent in indents):
            return ()
        spans = ((Span(self.source, *indent.span()), len(indent[0])) for indent in indents)
        edits = tuple(Edit(span, 2 * tabs * " ") for span, tabs in spans)
        return (Fix("indent by spaces, two for each tab", edits, safe=True),)

    def quoted(self) -> NoReturn:
        span = Span(self.source, self.opened, self.opened + 1)
        if "end of stream" in self.problem or "document indicator" in self.problem:
            raise error("E0101", "this quote is never closed", span, label="opened here")
        match = re.compile(r"\\(?:[xuU][0-9a-fA-F]*)?.?").match(self.text, self.text.find("\\", self.at))
        escape = match.group() if match else "\\"
        at = match.start() if match else self.at
        help_ = "use single quotes, in which a backslash has no special meaning"
        raise error("E0101", f"`{escape}` is not a valid escape", Span(self.source, at, at + len(escape)), help=help_)

    def alias(self) -> NoReturn:
        sign = self.text[self.opened : self.opened + 1]
        help_ = "quote the whole value" + (', as in `"*rows[i]"`' if sign == "*" else "")
        kind = "alias" if sign == "*" else "anchor"
        self.fail(f"a value that begins with `{sign}` is a YAML {kind}; this one is invalid", self.opened, help=help_)

    def nested(self) -> None:
        """Raise E0113 for `[n[0] * block(64)]`: inside brackets YAML ends the word `n` at its bracket.

        PyYAML reports an error there, or later in the line, where it reads `*` as an alias.
        """
        start = max(self.text.rfind("\n", 0, self.at) + 1, self.end - 1)
        between = self.text[start : self.at + 1]
        match = re.search(r"[^\s,:'\"\[\]{}][\[{]", between)
        if not match or (not self.in_flow and not re.search(r"(?:^|[\s,\[{])[\[{]", between)):
            return
        begin = bracket = start + match.end() - 1
        while begin > bracket - 60 and self.text[begin - 1 : begin] not in ("", " ", "\t", "\n", ",", "[", "{"):
            begin -= 1
        whole = re.compile(r".[^\[\]{}\n]{,60}[\]}]").match(self.text, bracket)
        span = Span(self.source, begin, whole.end() if whole else bracket + 1)
        char = self.text[bracket]
        message = f"inside brackets YAML cannot read `{span.text}`: its `{char}` begins a new list or mapping"
        raise error("E0113", message, span, help=quote_help(span.text, part=True))

    def flow(self) -> NoReturn:
        opening = self.text[self.opened : self.opened + 1]
        where = Span(self.source, self.opened, self.opened + 1)
        open_at = unmatched(self.text)
        if open_at is not None and not self.text[self.at :].strip() and self.text[open_at] in "[{":
            where = Span(self.source, open_at, open_at + 1)
            raise error("E0101", f"this `{where.text}` is never closed", where, label="opened here")
        if opening in ("[", "{") and "expected ','" in self.problem:
            expected = f"expected `,` or `{']' if opening == '[' else '}'}`"
            label = Label(where, "opened here")
            line_start = self.text.rfind("\n", 0, self.at) + 1
            if self.char == ":" and line_start > self.opened:
                at = line_start + len(self.indentation())
                if open_at is not None:
                    key = Label(word_span(self.source, at), "before this key")
                    message = f"this `{opening}` is never closed"
                    help_ = "close the bracket on the line above"
                    raise error("E0101", message, where, label="opened here", labels=(key,), help=help_)
                self.fail(f"{expected} before this key", at, labels=(label,), help="separate the two lines by a comma")
            help_ = "quote values that contain brackets or `: `"
            self.fail(f"{expected}, found {self.shown}", self.at, labels=(label,), help=help_)
        self.fail(f"something is missing before {self.shown}", self.at)

    def block(self) -> NoReturn:
        if "mapping values" in self.problem:
            self.second_colon()
        if "sequence entries" in self.problem:
            if self.first_on_line():
                self.fail("a list cannot begin here", self.at, help="the line above already has a value")
            self.fail("a list cannot begin here", self.at, help="put `- ` on a line of its own, below its key")
        if "expected ':'" in self.problem:
            self.no_space(self.opened)
            self.fail("this key has no `:`", self.opened, help="write `key: value`, or `- value` in a list")
        if "mapping keys" in self.problem:
            self.fail("a key cannot begin here", self.at)
        if "directive" in self.context or "YAML document" in self.problem:
            self.fail("only `%YAML 1.2` is allowed before a spec", self.text.rfind("\n", 0, self.at) + 1)
        if self.char and self.char in "]},":
            self.fail("a value cannot begin with `,`" if self.char == "," else f"{self.shown} closes nothing", self.at)
        if self.char == ":" and self.first_on_line():
            self.fail("a key is missing before `:`", self.at)
        if "parsing a block" in self.context:
            self.misfit()
        if "document start" in self.problem:
            self.fail("this line belongs to no mapping or list", self.at, help="check the indentation")
        self.fail(f"this is not YAML: {self.problem}", self.at)

    def second_colon(self) -> NoReturn:
        line = self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at]
        if re.search(r":\s", line):
            self.fail("a second `:` in one line", self.at, help="quote the value, or put it on a line of its own")
        if len(line) > 1024:
            raise error("E0101", "a key has at most 1,024 characters", Span(self.source, self.at - len(line), self.at))
        self.line_above(line)
        self.fail(
            "a key is not allowed here", self.at, help="the line above already has a value: check the indentation"
        )

    def line_above(self, line: str) -> None:
        """Raise E0101 at the line above if that one is wrong: it is a comment, has no `:`, or has a value already."""
        end = self.text.rfind("\n", 0, self.at)
        start = self.text.rfind("\n", 0, max(end, 0)) + 1
        above = self.text[start : max(end, 0)]
        indent = len(above) - len(above.lstrip())
        words = above.split()
        further = len(line) - len(line.lstrip()) - indent
        if not words or len(above) > 200:
            return
        if words[0].startswith("//"):
            help_: str = Proposal(f"write `# {above.strip().lstrip('/ ')}`", "#", "//", safe=True)
            self.fail("a comment begins with `#`", start + indent, help=help_)
        name, colon, value = above.strip().removeprefix("- ").partition(": ")
        if not colon and further == 0 and len(words) > 1 and words[0] != "-" and not above.rstrip().endswith(":"):
            self.no_space(start + indent)
            help_ = Proposal(f"write `{words[0]}: {' '.join(words[1:])}`", f"{words[0]}:", safe=True)
            self.fail("this key has no `:`", start + indent, help=help_)
        if further > 0 and (words[0] == "-" or colon) and line.strip() in _NODE_KEYS:
            prefix, node = (f"{name}: ", value) if colon else ("", name)
            help_ = f"to add keys to a node, write `{prefix}{{do: {node.strip()}, {line.strip()}: ...}}`"
            self.fail("a key is not allowed here: the line above already has a value", self.at, help=help_)

    def no_space(self, at: int) -> None:
        """Raise E0101 for a line that begins with `c:3x3`."""
        match = re.compile(r"(\.*\w+):([^\s:]+)").match(self.text, at)
        if match:
            help_ = Proposal("write a space after `:`", f"{match[1]}: {match[2]}", match[0], safe=True)
            self.fail(f"`{match[1]}:` has no space after it", at, help=help_)

    def read_by_list(self) -> None:
        """Raise E0101 at `<-` after a list or a mapping, with the mapping to write."""
        line = Span(self.source, self.text.rfind("\n", 0, self.at) + 1, (self.text + "\n").find("\n", self.at))
        value = re.match(r"\s*(?:- )*(?:[\w.-]+:\s+)?([\[{].*?)\s*(?:\s#.*)?$", line.text)
        if value and (write := reading(value[1])):
            span = Span(self.source, line.start + value.start(1), line.start + value.end(1))
            fixes = (replacing(span, write, safe=True),)
            self.fail("a list or a mapping reads its input with `from`", self.at, help=f"write `{write}`", fixes=fixes)

    def misfit(self) -> NoReturn:
        """E0101 for a token that continues neither the collection around it nor an outer one."""
        if not self.first_on_line():
            self.read_by_list()
            self.fail("unexpected text after a value", self.at, help="quote the whole value")
        what = "mapping" if "mapping" in self.context else "list"
        label = Label(word_span(self.source, self.opened), f"the {what} begins here")
        message = f"this line does not fit the {what} around it"
        help_ = "check the indentation"
        item = self.text[self.at : self.text.find("\n", self.at)].removeprefix("- ").strip()
        if what == "mapping" and self.char == "-" and re.fullmatch(r"[^:#]{1,80}", item):
            names = re.findall(r"[A-Za-z_]\w*", item)
            help_ = f"a mapping of nodes has names: write `{names[-1] if names else 'name'}: {item}`"
        elif what == "list" and re.match(r"[\w.-]+:\s", item):
            help_ = f"write `- {item.partition(': ')[2]}`, or a name before every node above instead of `- `"
        self.fail(message, self.at, labels=(label,), help=help_)
