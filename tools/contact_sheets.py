"""Draw every network of the library in one style, small and side by side, to look at all pictures at once.

    python tools/contact_sheets.py FOLDER [STYLE ...]

Writes FOLDER/STYLE-1.png, FOLDER/STYLE-2.png, ... with 30 pictures each; by default of all styles. A network that a
style does not draw is listed on the sheet with its error code.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.drawing.diagram import STYLES

WIDE, HIGH, COLUMNS, ROWS = 330, 300, 6, 5
SPECS = Path(__file__).parent.parent / "specs"


def picture(name: str, style: str, folder: Path) -> Image.Image | str:
    """The drawing of a network, or the code of the error."""
    path = folder / "picture.png"
    try:
        archdsl.load(name).save_diagram(path, style=style, theme="light", dpi=72, force=True)  # type: ignore[arg-type]
    except ArchError as problem:
        return problem.diagnostics[0].code
    image = Image.open(BytesIO(path.read_bytes())).convert("RGB")
    path.unlink()
    image.thumbnail((WIDE - 8, HIGH - 18))
    return image


def main(folder: Path, styles: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.stem for path in SPECS.glob("*.yaml"))
    size = COLUMNS * ROWS
    for style in styles or list(STYLES):
        for first in range(0, len(names), size):
            sheet = Image.new("RGB", (COLUMNS * WIDE, ROWS * HIGH), "white")
            draw = ImageDraw.Draw(sheet)
            for n, name in enumerate(names[first : first + size]):
                x, y = n % COLUMNS * WIDE + 4, n // COLUMNS * HIGH
                drawn = picture(name, style, folder)
                draw.text((x, y + 1), name if isinstance(drawn, Image.Image) else f"{name}: {drawn}", fill="black")
                if isinstance(drawn, Image.Image):
                    sheet.paste(drawn, (x, y + 14))
            path = folder / f"{style}-{first // size + 1}.png"
            sheet.save(path)
            print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
