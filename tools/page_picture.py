"""Writes `docs/pictures/page.png`, a screenshot of the interactive page: `python tools/page_picture.py`.

Needs Playwright and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import archdsl
from archdsl.drawing.page import page

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "page.png"
SIZE = {"width": 1400, "height": 900}
START = "#at=layer1.1.conv2"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(page(archdsl.load("resnet50").graph), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        tab.goto(path.as_uri() + START)
        tab.wait_for_selector("html[data-ready]")
        tab.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
