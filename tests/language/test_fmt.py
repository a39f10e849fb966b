"""`archdsl fmt`: one layout, short strings, comments kept, and never another meaning.

Tests `language/format/visit.py`, `cli/fmt.py`, `language/format/yaml_reader.py` and `backends/spec/format_files.py`.
"""

from __future__ import annotations

import io
import os
import re
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.backends.spec import rewrite
from archdsl.backends.spec.rewrite import formatted, long_text
from archdsl.cli import main
from archdsl.diagnostics import Source
from archdsl.language.format.format import format_source, same_meaning
from archdsl.language.format.yaml_writer import WIDTH, YamlEntry, YamlGroup, YamlLeaf, leaf_text, plain_safe, write
from archdsl.source import decode, parse, plain_value, read
from archdsl.spec.find import library_files
from archdsl.spec.open import from_source
from tests.support.random_specs import texts

HEAD = "input: 3x8x8\n"


def source(text: str) -> Source:
    return decode(text.encode(), "test.yaml")


def fmt(text: str) -> str:
    """The formatted text, which has the same meaning, loads, and stays as it is when formatted again."""
    text = textwrap.dedent(text)
    out = formatted(source(text))
    assert formatted(source(out)) == out
    assert same_meaning(source(text), source(out))
    assert archdsl.loads(out).fingerprint == archdsl.loads(text).fingerprint
    return out


def net(body: str) -> str:
    """The formatted net of a spec whose `net:` is this."""
    text = HEAD + "net:\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "  ") + "\n"
    return textwrap.dedent(fmt(text).removeprefix(HEAD + "net:\n")).rstrip("\n")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(args)
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


# --- limits of the reader ---------------------------------------------------------------------------------

LONG = [[[[0.5] * 7] * 7] * 12] * 3


def test_a_node_stays_long_if_the_reader_refuses_its_short_string() -> None:
    """An expression has at most 2,000 characters and 32 levels, a YAML list has other limits."""
    node = f"{{op: conv, out: 3, kernel: 7, weight: {LONG}}}"
    assert "weight:" in fmt(f"input: 12x9x9\nnet:\n  a: {node}\n")
    short = f"input: 12x9x9\nnet:\n  a: {{op: conv, out: 3, kernel: 1, weight: {[[[[0.5]]] * 12] * 3}}}\n"
    assert "a: conv 3 kernel=1 weight=[[[[0.5]],[[0.5]]," in fmt(short)
    long_bias = [0.125] * 400
    text = f"input: 3x9x9\ndefaults: {{conv: {{bias: {long_bias}}}}}\nnet:\n  a: 3x3 conv 400\n"
    assert "bias: [0.125" in fmt(text)


@pytest.mark.parametrize("style", ["|-", "|", ">"])
def test_a_drawn_table_keeps_its_lines(style: str) -> None:
    rows = "###\n#.#\n###".replace("\n", "\n\n" if style == ">" else "\n")
    centers = textwrap.indent(rows, "      ")
    text = f"input: 9\nnet:\n  a:\n    op: rbf\n    out: 1\n    centers: {style}\n{centers}\n"
    assert archdsl.loads(fmt(text)).fingerprint == archdsl.loads(long_text(from_source(source(text)))).fingerprint
    again = archdsl.loads(text).metadata()["spec"]
    assert archdsl.loads(again).fingerprint == archdsl.loads(text).fingerprint


# --- nodes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: {op: conv, out: 64, kernel: [7, 7], stride: 2}", "a: 7x7 conv 64 /2"),
        ("a: {op: conv, stride: 2, out: 4, kernel: 3, act: relu, norm: bn}", "a: conv 4 kernel=3 /2 bn relu"),
        ("a: {op: maxpool, kernel: 2}", "a: maxpool kernel=2"),
        ("a: 3x3  conv   64\tstride=2", "a: 3x3 conv 64 /2"),
        ("a: conv /2 linear 64 kernel=3 groups=1", "a: conv 64 kernel=3 /2 groups=1 linear"),
        ("a: 3x3 conv 4 norm=bn act=relu bias=true", "a: 3x3 conv 4 bias bn relu"),
        ("a: 3x3 conv 4 same", "a: 3x3 conv 4 pad=same"),
        ("a: 3x3 conv 4 pad=[1, 0,  1, 0]", "a: 3x3 conv 4 pad=[1,0,1,0]"),
        ("a: '3x3 conv 4'", "a: 3x3 conv 4"),
        ("a: {op: relu, repeat: 2}", "a: 2 * relu"),
        ("a:\n  op: relu\n  when: in == 3", "a: relu when in == 3"),
        ("a: {op: leaky_relu, slope: 0.2}", "a: leaky_relu 0.2"),
        (
            "a: {dense: {op: conv, out: 4, kernel: 3}, repeat: 2, as: 'layer{1}'}",
            "a: dense 2 * conv 4 kernel=3 as layer{1}",
        ),
        (
            "a: {dense: {op: conv, out: 4, kernel: 3, bias: false, groups: 1}, repeat: 2}",
            "a: dense 2 * conv 4 kernel=3 nobias groups=1",
        ),
        (
            "a: {op: conv, out: 4, kernel: 1, act: {op: leaky_relu, slope: 0.2}}",
            "a: {op: conv, out: 4, kernel: 1, act: {op: leaky_relu, slope: 0.2}}",
        ),
        ("a: {op: conv, out: 4, kernel: ['(divisible(3, 3))', 5]}", "a: conv 4 kernel=[divisible(3, 3),5]"),
        ("a: {op: conv, out: '((2 + 2))', kernel: '[3, ( 1 + 2 )]'}", "a: conv (2 + 2) kernel=[3,1 + 2]"),
        ("a: {op: relu, repeat: '(1 + 1)', when: '(in == 3)'}", "a: 1 + 1 * relu when in == 3"),
        ("a: {op: relu, repeat: (1 * 2)}", "a: (1 * 2) * relu"),
        ("a: relu\nb: {op: concat, from: [a, a]}", "a: relu\nb: concat <- a, a"),
        ("- [3x3 conv 4]", "- - 3x3 conv 4"),
        ("- [3x3 conv 4, relu]", "- [3x3 conv 4, relu]"),
        ("- - 3x3 conv 4\n  - relu", "- - 3x3 conv 4\n  - relu"),
        ("- ['3x3 conv (min(4, 3))', relu]", "- - 3x3 conv min(4, 3)\n  - relu"),
        ("- {a: 'fc min(4, 3)', b: relu}", "- a: fc min(4, 3)\n  b: relu"),
        (
            "- {residual: {a: 3x3 conv 4, b: relu}, then: {op: relu}}",
            "- {residual: {a: 3x3 conv 4, b: relu}, then: relu}",
        ),
        (
            "a: {residual: {b: {op: conv, out: 4, kernel: 1}}, shortcut: none}",
            "a: {residual: {b: conv 4 kernel=1}, shortcut: none}",
        ),
    ],
)
def test_nodes_become_short(before: str, after: str) -> None:
    assert net(before) == after


@pytest.mark.parametrize(
    ("sizes", "before", "after"),
    [
        ("3x50", "{op: conv, out: 4, kernel: [3], stride: [2]}", "3 conv 4 /[2]"),
        ("3x8x8x8", "{op: conv, out: 4, kernel: [1, 3, 3], stride: [1, 2, 2]}", "1x3x3 conv 4 /1x2x2"),
        ("3x8x8x8", "3x3x3 conv  4 stride=[1, 2,2]", "3x3x3 conv 4 /1x2x2"),
    ],
)
def test_nodes_of_signals_and_volumes_become_short(sizes: str, before: str, after: str) -> None:
    assert fmt(f"input: {sizes}\nnet:\n  a: {before}\n") == f"input: {sizes}\nnet:\n  a: {after}\n"


def test_calls_get_one_blank_behind_each_comma() -> None:
    text = (
        f"{HEAD}blocks: {{'f(a, b=1)': 3x3 conv a}}\nnet:\n- ['f( 4,b=2 )']\n- {{call: f(4)}}\n- {{call: 'f(4, 1)',"
        " repeat: 2}\n"
    )
    assert fmt(text) == f'{HEAD}blocks: {{"f(a, b=1)": 3x3 conv a}}\nnet:\n  - - f(4, b=2)\n  - f(4)\n  - 2 * f(4, 1)\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("input: [3, 8, 8]", "input: 3x8x8"),
        ("input: [3, H=8, W=8]", "input: [3, H=8, W=8]"),
        ("input: [12]", "input: 12"),
        ("input: [12, 5000]", "input: 12x5000"),
        ("input: [1, 96, 96, 96]", "input: 1x96x96x96"),
        ("input: {a: [3, 8, 8]}", "input: {a: 3x8x8}"),
        (
            "input: 3x8x8\ndefaults: {conv: {norm: bn, act: relu}, maxpool: {ceil: true}}",
            "input: 3x8x8\ndefaults: {conv: bn relu, maxpool: ceil}",
        ),
        ("input: 3x8x8\ndefaults: {bn: {eps: 0.001}}", "input: 3x8x8\ndefaults: {bn: {eps: 0.001}}"),
        ("input: 3x8x8\ndefaults: {conv: relu   norm=bn pad=same}", "input: 3x8x8\ndefaults: {conv: pad=same bn relu}"),
    ],
)
def test_sections_become_short(before: str, after: str) -> None:
    body = "net: relu" if "{a" not in before else "net: relu <- a"
    assert fmt(f"{before}\n{body}\n") == f"{after}\n{body}\n"


def test_what_a_variant_merges_into_stays_long() -> None:
    text = """\
        input: 3x8x8
        net:
          a: {op: conv, out: 4, kernel: [3, 3], stride: 2}
          b: {op: conv, out: 4, kernel: [3, 3]}
        variants:
          wide:
            net: {a: {out: 8}}
          other:
            net: {b: {op: conv, out: 5, kernel: [1, 1]}}
          third:
            net: {c: {op: relu}}
    """
    out = fmt(text)
    assert out.count("op: conv") == 3 and "{c: relu}" in out
    for variant in ("wide", "other", "third"):
        before, after = (archdsl.loads(t, variant=variant) for t in (textwrap.dedent(text), out))
        assert before.fingerprint == after.fingerprint


def test_a_text_of_another_meaning_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "format_source", lambda s, shorten: s.text.replace("64", "65"))
    with pytest.raises(rewrite.Unfaithful):
        formatted(source(f"{HEAD}net: [3x3 conv 64]\n"))
    monkeypatch.setattr(rewrite, "format_source", lambda s, shorten: s.text.replace("a paper", "another"))
    with pytest.raises(rewrite.Unfaithful):
        formatted(source(f"{HEAD}paper: {{title: a paper}}\nnet: [relu]\n"))


def test_no_file_contains_a_spec_of_another_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = archdsl.loads(f"{HEAD}net: [3x3 conv 64]\n")
    monkeypatch.setattr(rewrite, "format_source", lambda s: s.text.replace("64", "65"))
    assert archdsl.loads(network.metadata()["spec"]).fingerprint == network.fingerprint, "in the long form"
    written = rewrite.standalone_text
    for wrong in ("65", "64 x"):
        monkeypatch.setattr(rewrite, "standalone_text", lambda d, a, w=wrong: written(d, a).replace("64", w))
        with pytest.raises(rewrite.Unfaithful, match="would contain"):
            network.to_onnx(tmp_path / "x.onnx")
        assert not list(tmp_path.iterdir())


# --- comments, blank lines, anchors ----------------------------------------------------------------------------


def test_comments_and_blank_lines() -> None:
    before = """\


        # yaml-language-server: $schema=x

        # Licence
        name:   x    # the name



        input: 3x8x8
        args: {n: [1,   # first
          2,
          # before three
          3
          # at the end
          ]}   # done
        blocks:

          # a block
          f(w):   # its head
            residual:
              # inside
              conv: 3x3 conv w   # a conv
              # end of residual
            then: relu
          # end of blocks
        net:
        - f(4)   # one


        - # behind a dash
          a: relu
        - - # deeper
            b: relu
        # tail of the net
        # end

        # of it
    """
    after = """\
        # yaml-language-server: $schema=x

        # Licence
        name: x # the name

        input: 3x8x8
        args:
          n: # done
            - 1 # first
            - 2
            # before three
            - 3
            # at the end
        blocks:
          # a block
          f(w): # its head
            residual:
              # inside
              conv: 3x3 conv w # a conv
              # end of residual
            then: relu
          # end of blocks
        net:
          - f(4) # one

          # behind a dash
          - a: relu
          # deeper
          - - b: relu
        # tail of the net
        # end

        # of it
    """
    assert fmt(before) == textwrap.dedent(after)


def test_comments_in_a_column_stay_in_a_column() -> None:
    assert (
        net("""
        a: 3x3  conv 16     # one
        b: 3x3 conv 16 relu # two

        c: relu       # alone
        d: 3x3 conv 8   # not below it
    """)
        == textwrap.dedent("""
        a: 3x3 conv 16      # one
        b: 3x3 conv 16 relu # two

        c: relu # alone
        d: 3x3 conv 8 # not below it
    """).strip()
    )


def test_a_node_with_comments_inside_stays_long() -> None:
    assert (
        net("a:\n  op: relu # why\n  repeat: 2\nb: {op: relu} # short")
        == "a:\n  op: relu # why\n  repeat: 2\nb: relu # short"
    )


def test_anchors_stay() -> None:
    text = """\
        input: 3x8x8
        paper: &p {title: "A: b", year: 2000}
        net: &net
          a: &a {op: conv, out: 4, kernel: [3, 3]}
          b: *a
          c: &short 3x3   conv 4
          d: *short
          e: &list
            - relu
        variants:
          other: {paper: *p}
    """
    assert fmt(text) == textwrap.dedent(text)
    assert (
        net("a: &x # why\n  3x3   conv 4\nb: *x\nc: &y   # how\n  d: relu")
        == "a: &x 3x3   conv 4 # why\nb: *x\nc: &y # how\n  d: relu"
    )


@given(texts(), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_comment_is_lost(text: str, data: st.DataObject) -> None:
    """Comments and blank lines anywhere in a random spec: kept, in their order."""
    lines: list[str] = []
    for number, line in enumerate(text.splitlines()):
        what = data.draw(st.integers(0, 6))
        if what == 0:
            lines.append(" " * data.draw(st.integers(0, 8)) + f"#c{number}")
        lines += [""] if what == 1 else []
        lines.append(f"{line} #c{number} x" if what == 2 else line)
    before = source("\n".join(lines) + "\n")
    try:
        parse(before)
    except archdsl.ArchError:
        return  # a comment in the middle of a text of several lines
    after = source(format_source(before))
    if same_meaning(before, source(text)):
        assert re.findall(r"#c\d+", after.text) == re.findall(r"#c\d+", before.text)
    assert format_source(after) == after.text
    assert same_meaning(before, after)


# --- YAML ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("doc: 'plain text'", "doc: plain text"),
        ('doc: "a: b"', 'doc: "a: b"'),
        ("doc: 'it''s \"so\"'", 'doc: it\'s "so"'),
        ('doc: "yes"', "doc: yes"),
        ('doc: "true"', 'doc: "true"'),
        ('doc: "1"', 'doc: "1"'),
        ('doc: "- a"', 'doc: "- a"'),
        ('doc: "a #b"', 'doc: "a #b"'),
        ('doc: "a\\tb"', 'doc: "a\\tb"'),
        ('doc: "a\\\\b"', "doc: a\\b"),
        ("doc: |\n    two\n    lines", "doc: |\n  two\n  lines"),
        ("doc: >-   # why\n      folded\n\n      text\n", "doc: >- # why\n  folded\n\n  text"),
        ("doc: |2\n    more", 'doc: "  more\\n"'),
        ("doc: a text\n  on two lines", "doc: a text on two lines"),
        ("paper: {title: \"Deep, wide\", arxiv: '1409.1550'}", 'paper: {title: "Deep, wide", arxiv: "1409.1550"}'),
        ("paper: {title: x, arxiv: 1409.1550}", "paper: {title: x, arxiv: 1409.1550}"),
        ("labels: [a,b , 'c d']", "labels: [a, b, c d]"),
        ("labels:\n- a\n-   b", "labels:\n  - a\n  - b"),
        ("outputs:\n    {a: '0'}", 'outputs: {a: "0"}'),
        ("variants: {v: {doc: null}, w: {doc: ~}}", "variants: {v: {doc: null}, w: {doc: null}}"),
        ("variants:\n  v:\n    doc:\n", "variants:\n  v:\n    doc: null"),
    ],
)
def test_the_rest_of_a_spec(before: str, after: str) -> None:
    assert fmt(f"{HEAD}net: [relu]\n{before}\n") == f"{HEAD}net: [relu]\n{after}\n"


def test_line_ends_directives_and_marks() -> None:
    assert (
        fmt("%YAML 1.2\n---\ninput: 3x8x8\r\nnet: [relu]   \r\n...\n") == "%YAML 1.2\n---\ninput: 3x8x8\nnet: [relu]\n"
    )


def test_long_lines() -> None:
    words = "word " * 40
    out = fmt(f"{HEAD}doc: {words}\nnet: [relu]\n")
    assert f"doc: {words.strip()}\n" in out
    out = fmt(f"{HEAD}doc: {words}\n  {words}\nnet: [relu]\nlabels: [{', '.join(['label'] * 60)}]\n")
    assert max(map(len, out.splitlines())) <= WIDTH and out.count("word") == 80
    body = "{" + ", ".join(f"node{n}: 3x3 conv 4 bn relu" for n in range(3)) + "}"
    assert f"net: {body}" in fmt(f"{HEAD}net: {body}\n")
    body = "{" + ", ".join(f"node{n}: 3x3 conv 4 bn relu" for n in range(9)) + "}"
    assert "net:\n  node0: 3x3 conv 4 bn relu\n  node1:" in fmt(f"{HEAD}net: {body}\n")


@given(st.text(st.sampled_from(list("ab1.-:#,[]{}&*!|>'\"%@`?=~ \t()\\eN\u00e9\u00a0\u2028_<")), max_size=12))
@settings(max_examples=400, deadline=None)
def test_every_string_is_read_back(text: str) -> None:
    if "\u2028" in text:
        return  # no spec may hold it
    for flow in (False, True):
        leaf = YamlLeaf(text)
        inner = YamlGroup([YamlEntry(leaf, YamlLeaf("key"))], flow=flow)
        try:
            tree = parse(source(write(YamlGroup([YamlEntry(inner, YamlLeaf("top"))]))))
        except archdsl.ArchError as problem:
            raise AssertionError(leaf_text(leaf, flow)) from problem
        value = tree.entries["top"].value.entries["key"].value  # type: ignore[union-attr]
        assert value.value == text, leaf_text(leaf, flow)
    if plain_safe(text, flow=False):
        assert plain_value(text) == text


# --- whole files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", library_files(), ids=lambda p: p.stem)
def test_the_library(path: Path) -> None:
    text = formatted(read(path))
    assert formatted(decode(text.encode(), path.name, path)) == text
    assert text.startswith("# yaml-language-server")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts())
def test_random_specs(text: str) -> None:
    fmt(text)


UNTIDY, TIDY = f"{HEAD}net: [ relu ]\n", f"{HEAD}net: [relu]\n"


def test_files_are_rewritten_in_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    path.write_text(UNTIDY)
    other.write_text(TIDY)
    path.chmod(0o640)
    assert run(capsys, "fmt", str(tmp_path)) == (0, "", f"formatted {path}\n")
    assert path.read_text() == TIDY and path.stat().st_mode & 0o777 == 0o640
    assert run(capsys, "fmt", str(path), str(other)) == (0, "", "")


def test_check_and_diff_write_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(UNTIDY)
    status, out, err = run(capsys, "fmt", "--check", str(path))
    assert (status, out, err) == (1, f"{path}\n", "1 file would change\n")
    status, out, err = run(capsys, "fmt", "--diff", str(path))
    assert (status, err) == (0, "") and "-net: [ relu ]\n+net: [relu]\n" in out
    status, out, _ = run(capsys, "fmt", "--check", "--diff", str(path))
    assert status == 1 and out.startswith(f"{path}\n---")
    assert path.read_text() == UNTIDY
    path.write_bytes(TIDY.replace("\n", "\r\n").encode())
    assert run(capsys, "fmt", "--check", str(path))[0] == 1


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def given_text(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given_text(UNTIDY)
    assert run(capsys, "fmt", "-") == (0, TIDY, "")
    given_text(TIDY)
    assert run(capsys, "fmt", "-", "--check") == (0, "", "")
    assert run(capsys, "fmt", "-", "other.yaml")[0] == 2


def test_a_wrong_file_stays_and_the_others_are_formatted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong, path = tmp_path / "a.yaml", tmp_path / "b.yaml"
    wrong.write_text("input: 3x8x8\nnet: [ 3x3 cnov 4 ]\n")
    path.write_text(UNTIDY)
    status, out, err = run(capsys, "fmt", str(wrong), str(path))
    assert (status, out) == (1, "") and "E0301" in err and f"formatted {path}" in err
    assert "[ 3x3" in wrong.read_text() and path.read_text() == TIDY
    assert run(capsys, "fmt", str(tmp_path / "missing.yaml"))[0] == 2


def test_a_link_stays_a_link(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, link = tmp_path / "a.yaml", tmp_path / "link.yaml"
    path.write_text(UNTIDY)
    os.symlink(path, link)
    run(capsys, "fmt", str(link))
    assert link.is_symlink() and path.read_text() == TIDY
