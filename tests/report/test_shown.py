"""Results in a notebook: HTML in which every text of a stranger is escaped, and `repr` as text.

Tests `report/shown.py` and `diagnostics/notebook.py`; runs the notebook of the docs.
"""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.report.shown import Text, html_table, pre
from tests.support.places import DOCS

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"""\
name: x
input: 3x8x8
doc: '{SCRIPT}'
paper: {{title: '{SCRIPT}', authors: '<img src=x onerror=alert(1)>', year: 2020}}
net:
  a: {{op: conv, out: 4, kernel: 3, label: '{SCRIPT}'}}
  fc: fc 2
claims: {{source: '{SCRIPT}', params: 1M}}
"""


class Tags(HTMLParser):
    """The tags of a text, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert all(name == "style" for name, _ in attrs)
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_colours_become_styles() -> None:
    shown = Tags(pre("a \x1b[1;31m<b>\x1b[0m & c\x1b[31m d\n"))
    assert shown.tags == ["pre", "span"]
    assert shown.text == "a <b> & c\\x1b[31m d\n"  # a colour that does not end is no colour of archdsl
    assert "font-weight:bold;color:" in pre("\x1b[1;31mx\x1b[0m")


def test_a_table_has_its_cells() -> None:
    shown = Tags(html_table(["name", "n"], [[SCRIPT, "1"]], {"n"}))
    assert shown.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert shown.text == f"namen{SCRIPT}1"


def test_every_result_escapes_what_a_spec_says(tmp_path: Path) -> None:
    path = tmp_path / "<b>x.yaml"
    path.write_text(HOSTILE)
    net = archdsl.load(path)
    results = (archdsl.check(path), archdsl.compare(net, "lenet5"), archdsl.diff("lenet5", net), net.summary())
    texts = ""
    for result in results:
        html = result._repr_html_()  # type: ignore[union-attr]
        texts += Tags(html).text
        assert not set(Tags(html).tags) - {"pre", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert SCRIPT in texts, "nothing of it was shown, so this tests nothing"


def test_repr_is_the_text() -> None:
    report = archdsl.check("lenet5")
    assert repr(report) == report.text().rstrip("\n")
    assert repr(archdsl.compare("lenet5")) == archdsl.compare("lenet5").text().rstrip("\n")
    assert isinstance(archdsl.load("lenet5").summary(), Text)


def test_a_listing_is_not_counted_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(progress: object) -> None:
        pytest.fail("the library was counted")

    monkeypatch.setattr("archdsl.library.listing.catalog", never)
    assert "lenet5" in archdsl.list("lenet5*")._repr_html_()


# --- errors ----------------------------------------------------------------------------------------------


def raised(code: str) -> ArchError:
    with pytest.raises(ArchError) as caught:
        exec(compile(code, "<cell>", "exec"), {"archdsl": archdsl})
    return caught.value


def test_an_error_shows_the_readers_lines_and_the_diagnostics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    problem = raised("def own():\n    archdsl.loads('input: 3x8x8\\nnet: gop')\nown()")
    lines = problem._render_traceback_()
    assert [line for line in lines if line.startswith("this notebook")] == [
        "this notebook, line 3, in <module>",
        "this notebook, line 2, in own",
    ]
    assert lines[-len(str(problem).splitlines()) :] == str(problem).splitlines()
    assert not any("open.py" in line for line in lines)
    monkeypatch.setenv("ARCHDSL_DEBUG", "1")
    assert any("open.py" in line for line in problem._render_traceback_())


def test_ipython_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    shell: Any = InteractiveShell()  # type: ignore[no-untyped-call]
    shell.run_cell("import archdsl\narchdsl.load('resnet5000')")
    printed = capsys.readouterr().out
    assert "E0205" in printed
    assert "archdsl.load('resnet5000')" in printed
    assert "Traceback" not in printed


# --- the notebook of the docs ----------------------------------------------------------------------------


def test_the_notebook_runs(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    shutil.copy(DOCS / "guides/notebook.ipynb", path)
    notebook = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "commit it without outputs"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output.ename for output in outputs if output.output_type == "error"] == ["ArchError"]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert (kinds.count("image/svg+xml"), kinds.count("text/html")) == (2, 3)
    assert "torch.Size([2, 10])" in json.dumps(notebook)
    assert {file.name for file in tmp_path.iterdir()} >= {"tiny.onnx", "tiny.py"}
