"""A difference as one HTML page: the picture, then the text. The page has no scripts and loads nothing."""

from __future__ import annotations

from archdsl.report.text import xml

_STYLE = """
body{margin:2rem auto;max-width:72rem;padding:0 1rem;\
font:16px/1.5 Helvetica,Arial,sans-serif;color:#000;background:#fff}
svg{display:block;max-width:100%;height:auto;margin:0 auto}
pre{overflow-x:auto;font:14px/1.45 ui-monospace,Menlo,Consolas,monospace;tab-size:4}
.added{color:#00694c}.removed{color:#a94400}.changed{color:#7a5900}.moved{color:#005b8f}
@media (prefers-color-scheme:dark){body{color:#ededed;background:#14171a}
.added{color:#3fd1a4}.removed{color:#ff9a5c}.changed{color:#ffd166}.moved{color:#6cbcf0}}
"""
_MARKS = {"+": "added", "-": "removed", "~": "changed", ">": "moved"}


def page(title: str, svg: str, text: str) -> str:
    """Return the page. `text` is `NetworkDifference.text()`, without colours."""
    picture = svg[svg.index("<svg") :]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="generator" content="drawn by archdsl">\n'
        f"<title>{xml(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{xml(title)}</h1>\n{picture}\n"
        f"<pre>{_lines(text)}</pre>\n</body>\n</html>\n"
    )


def _lines(text: str) -> str:
    """The lines as HTML; the line of a change has the colour of its sign."""
    return "\n".join(_colored(line) for line in text.splitlines())


def _colored(line: str) -> str:
    kind = _MARKS.get(line.lstrip()[:1]) if line.lstrip()[1:2] == " " else None
    indent = " " * (len(line) - len(line.lstrip()))
    words = xml(line.lstrip())
    return f'{indent}<span class="{kind}">{words}</span>' if kind else indent + words
