"""Every block of code of the site's pages runs, or is marked with the reason why not.

The tests run what a reader would: `tools/pages.py` has the rules, `tests/docs/prepare.py` the files of the reader.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs import prepare
from tests.support.places import ROOT

sys.path.insert(0, str(ROOT / "tools"))
pages = importlib.import_module("pages")
docs = importlib.import_module("docs")

WITH_CODE = [
    page
    for page in docs.PAGES
    if {block.language for block in pages.blocks((ROOT / page).read_text(encoding="utf-8"))} - pages.SHOWN
]
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="commands run in bash")


@pytest.mark.parametrize("page", WITH_CODE)
def test_every_block_runs_or_is_marked(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    languages = {block.language for block in pages.blocks(text) if not block.language.startswith("{")}
    assert languages <= pages.SHOWN | {"sh", "console", "python", "yaml"}, "use the languages of CONTRIBUTING.md"
    done = pages.run(page, tmp_path)
    assert not done.failures, "\n".join(done.failures)
    assert done.text.splitlines() == text.splitlines(), "run `python tools/docs.py`"


def test_every_preparation_is_of_a_page() -> None:
    functions = {name for name, it in vars(prepare).items() if getattr(it, "__module__", "") == prepare.__name__}
    assert {name for name in functions if not name.startswith("_")} <= {pages.preparation(page) for page in WITH_CODE}


def test_these_tests_can_fail(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    folder.mkdir()
    page.write_text(
        "```yaml\n# a.yaml\nnet: [fc 2]\n```\n```sh\ncat a.yaml\n```\n```sh\ncat b.yaml\n```\n"
        "> Not run by the tests: needs a GPU.\n\n```sh\nexit 3\n```\n"
        "```console\n$ echo one two\none ...\n$ echo three\nfour\n```\n"
        "```python\n>>> x = 1\n>>> x\n1\n```\n```python\nassert x == 2\n```\n```sh\npip list\n```\n",
        encoding="utf-8",
    )
    done = pages.run(str(page), folder)
    assert [failure.partition(": ")[0].rpartition(":")[2] for failure in done.failures] == ["8", "27", "30"]
    assert done.text == page.read_text(encoding="utf-8").replace("four", "three")
    assert [block.not_run for block in pages.blocks(done.text) if block.not_run] == ["needs a GPU."]
