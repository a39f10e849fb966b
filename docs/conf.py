"""The documentation site: `python -m sphinx -W -b html docs build/site`, or `make site`.

The pages are those of `docs/`, which also read well on GitHub, and the reference that `tools/reference.py` generates
into `docs/reference/` before each build.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any
from urllib.parse import urlsplit

from pygments.lexers.special import TextLexer

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import reference  # noqa: E402

from archdsl.version import __version__  # noqa: E402

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GITHUB = _PROJECT["urls"]["Source"]

project = "archdsl"
author = copyright = "The archdsl developers"
version = release = __version__
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist", "html_image"]
myst_heading_anchors = 4
smartquotes = False  # `--weights` keeps its two signs
exclude_patterns = ["errors.md", "_static", "gallery", "pictures"]
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"archdsl {version}"
html_baseurl = "https://archdsl.github.io/archdsl/"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "source_repository": f"{GITHUB}/",
    "source_branch": "main",
    "source_directory": "docs/",
}

_LINK = re.compile(r"(?<!!)(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
_NOT_RUN = re.compile(r"^> Not run by the tests: (.)(.*)$", re.MULTILINE)
"""The site shows the reason, which is of use for a reader: "Needs a GPU."."""
_ERROR = re.compile(r"(?:docs/errors\.md#([ewn]\d{4})-.*|archdsl/explain/([EWN]\d{4})\.md)")


def link(page: str, target: str) -> str:
    """Return where a link of a page leads on the site.

    A file of the repository that the site does not have leads to GitHub, a code to its page of the reference.
    """
    path, _, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return target
    folder = f"docs/{page}".rpartition("/")[0]
    file = normpath(f"{folder}/{path}")
    code = _ERROR.fullmatch(f"{file}#{anchor}" if anchor else file)
    if code is not None:
        file, anchor = f"docs/reference/diagnostics/{(code[1] or code[2]).upper()}.md", ""
    elif file == "docs/errors.md":
        file = "docs/reference/diagnostics/index.md"
    elif not file.startswith("docs/") or not file.endswith(".md"):
        kind = "tree" if (ROOT / file).is_dir() else "blob"
        return f"{GITHUB}/{kind}/main/{file}" + (f"#{anchor}" if anchor else "")
    return relpath(file, folder) + (f"#{anchor}" if anchor else "")


def _rewrite_links(app: Any, name: str, source: list[str]) -> None:
    if name == "decisions/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n[0-9]*\n```\n"
    source[0] = _NOT_RUN.sub(lambda m: f'<p class="not-run">{m[1].upper()}{m[2]}</p>', source[0])

    def link_prose(prose: str) -> str:
        return _LINK.sub(lambda m: f"{m[1]}({link(name, m[2])})", prose)

    source[0] = reference.outside(reference.FENCES, source[0], link_prose)


def _page(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load pictures when they are seen; link no source of a generated page.

    The page 404 is served for any path, so its links start at the site's root.
    """
    if "body" in context:
        context["body"] = context["body"].replace("<img ", '<img loading="lazy" ')
    if name.startswith("reference/"):
        context["theme_top_of_page_buttons"] = []
    if name == "404":
        context["metatags"] = f'<base href="{urlsplit(html_baseurl).path}">' + context.get("metatags", "")


def _copy_pictures(app: Any, exception: Exception | None) -> None:
    """Copy the pictures that pages name in HTML, beside the pages."""
    if exception is None and app.builder.name == "html":
        for folder in ("gallery", "pictures"):
            shutil.copytree(DOCS / folder, Path(app.outdir) / folder, dirs_exist_ok=True)


def setup(app: Any) -> None:
    app.add_lexer("mermaid", TextLexer)
    app.connect("builder-inited", lambda app: reference.write(DOCS / "reference"))
    app.connect("source-read", _rewrite_links)
    app.connect("html-page-context", _page)
    app.connect("build-finished", _copy_pictures)
