"""Writes a page for each example: what its docstring says, and its code.

They lie in `docs/gallery`, which holds nothing else and is not kept.
"""

import ast
import pathlib

from api_pages import write_pages

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORY = pathlib.Path(__file__).parents[1] / "gallery"

PAGE = """\
# {title}

{text}

```{{literalinclude}} ../../examples/{name}
:lines: {first}-
```
"""


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
            # After the docstring, which the page has shown.
            first=tree.body[1].lineno,
        )
    return texts


def setup(app):
    app.connect("builder-inited", lambda app: write_pages(DIRECTORY, pages()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
