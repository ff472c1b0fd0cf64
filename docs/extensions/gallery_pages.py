"""Writes a page for each example: what its docstring says, and its code.

They lie in `docs/gallery`, which holds nothing else and is not kept. Examples
train, which takes too long here: pictures of the kind that they draw are made
of presets, without a data set that is downloaded.
"""

import ast
import contextlib
import io
import pathlib
import shutil

from api_pages import write_pages

from zoo import __main__ as command_line

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORY = pathlib.Path(__file__).parents[1] / "gallery"

# Presets that show what an example would draw.
PRESETS = {
    "ntm_copy": "ntm_copy",
    "quickstart": "prototypical_network_glyphs",
    "sinusoids": "maml_sinusoid",
    "zero_shot_letters": "zero_shot_prototypical_network_glyphs",
}

PAGE = """\
# {title}

{text}

{pictures}```{{literalinclude}} ../../examples/{name}
:language: python
:lines: {first}-
```
"""


PICTURES = """\
{images}

*Drawn by* `keras-meta plot {preset}`.

"""


def draw_pictures(directory):
    """Draws each of `PRESETS`, unless its folder is there.

    Args:
        directory: Where the folders are made.
    """
    for preset in PRESETS.values():
        folder = directory / preset
        if folder.exists():
            continue
        partial = directory / f"{preset}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.redirect_stdout(io.StringIO()):
            code = command_line.main(["plot", preset, "--output", str(partial)])
        if code:
            raise RuntimeError(f"The pictures of {preset} were not drawn.")
        partial.rename(folder)


def pictures_of(example):
    """The pictures of an example, as Markdown; empty if it has none."""
    preset = PRESETS.get(example)
    found = sorted((DIRECTORY / preset).glob("*.png")) if preset else []
    if not found:
        return ""
    images = "\n\n".join(
        f"![{path.stem.replace('_', ' ')}]({preset}/{path.name})"
        for path in found
    )
    return PICTURES.format(images=images, preset=preset)


def pages():
    """The text of each page.

    Returns:
        Dict of Markdown by file name.
    """
    texts = {}
    for path in sorted((ROOT / "examples").glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        title, _, rest = ast.get_docstring(tree).partition("\n\n")
        texts[f"{path.stem}.md"] = PAGE.format(
            title=title.rstrip("."),
            text=rest,
            name=path.name,
            pictures=pictures_of(path.stem),
            # After the docstring, which the page has shown.
            first=tree.body[1].lineno,
        )
    return texts


def write(app):
    DIRECTORY.mkdir(exist_ok=True)
    draw_pictures(DIRECTORY)
    write_pages(DIRECTORY, pages())


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
