"""Writes a page for each notebook: its cells and the outputs that it stores.

They lie in `docs/notebooks`, which holds nothing else and is not kept.
"""

import base64
import json
import pathlib

from api_pages import write_pages

SOURCES = pathlib.Path(__file__).parents[2] / "notebooks"
DIRECTORY = pathlib.Path(__file__).parents[1] / "notebooks"
DOWNLOAD = "\n\n{{download}}`The notebook <../../notebooks/{name}>`"


def page(name, notebook, folder):
    """The text of a page.

    Args:
        name: The notebook's file name.
        notebook: Dict (nbformat 4).
        folder: Where pictures are written.

    Returns:
        Markdown.
    """
    parts = []
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            # The first cell has the title.
            parts.append(source + DOWNLOAD.format(name=name) * (not parts))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text")})
            if "image/png" not in data:
                text = "".join(data["text/plain"]).rstrip("\n")
                parts.append(f"```{{code-block}} none\n{text}\n```")
                continue
            file = f"{pathlib.Path(name).stem}_{number}.png"
            picture = base64.b64decode(data["image/png"])
            (folder / file).write_bytes(picture)
            parts.append(f"![What the cell draws]({file})")
    return "\n\n".join(parts) + "\n"


def pages(folder):
    """The text of each page.

    Args:
        folder: Where pictures are written.

    Returns:
        Dict of Markdown by file name.
    """
    return {
        f"{path.stem}.md": page(
            path.name, json.loads(path.read_text("utf-8")), folder
        )
        for path in sorted(SOURCES.glob("*.ipynb"))
    }


def write(app):
    DIRECTORY.mkdir(exist_ok=True)
    write_pages(DIRECTORY, pages(DIRECTORY))


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
