"""Writes a page for each example: its figures, its code and what it prints.

They lie in `docs/gallery`, which holds nothing else and is not kept. Examples
train, which takes minutes: what they print and draw is in `docs/executed`,
where `docs/run_examples.py` puts it.
"""

import ast
import pathlib

from api_pages import write_pages

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORY = pathlib.Path(__file__).parents[1] / "gallery"
EXECUTED = pathlib.Path(__file__).parents[1] / "executed" / "examples"
# In the order of the gallery.
EXAMPLES = (
    "quickstart",
    "own_image_folder",
    "serve_saved_model",
    "zero_shot_letters",
    "sinusoids",
    "ntm_copy",
    "gradient_terms",
)
# What a page shows first, of several figures.
FIRST = {"quickstart": "episode"}

PAGE = """\
# {title}

{text}

{figures}## The program

{{download}}`{name} <../../examples/{name}>`

```{{literalinclude}} ../../examples/{name}
:language: python
:lines: {first}-
```

## What it prints

```{{literalinclude}} ../executed/examples/{stem}/output.txt
:language: none
```
"""
CARD = """\
:::{{figure}} {picture}
:target: gallery/{name}.html
[**{title}**](gallery/{name}.md)
:::
"""


def figures_of(name):
    """The files of an example's figures, the one that tells most first."""
    found = sorted((EXECUTED / name).glob("*.png"))
    return sorted(found, key=lambda path: path.stem != FIRST.get(name))


def title_of(name):
    """The first line of an example's docstring, and the rest of it."""
    text = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
    title, _, rest = ast.get_docstring(ast.parse(text)).partition("\n\n")
    return title.rstrip("."), rest


def pages():
    """The text of each page.

    Returns:
        Dict of Markdown by file name.
    """
    texts = {}
    for name in EXAMPLES:
        path = ROOT / "examples" / f"{name}.py"
        title, rest = title_of(name)
        texts[f"{name}.md"] = PAGE.format(
            title=title,
            text=rest,
            name=path.name,
            stem=name,
            figures="".join(
                f"![{figure.stem.replace('_', ' ')}]"
                f"(../executed/examples/{name}/{figure.name})\n\n"
                for figure in figures_of(name)
            ),
            # After the docstring, which the page has shown.
            first=ast.parse(path.read_text("utf-8")).body[1].lineno,
        )
    return texts


def cards():
    """The pictures of all examples, each with a link to its page.

    Returns:
        Markdown; an example without a figure is a line below them.
    """
    pictures, lines = [], []
    for name in EXAMPLES:
        title, _ = title_of(name)
        figures = figures_of(name)
        if figures:
            pictures.append(
                CARD.format(
                    picture=f"executed/examples/{name}/{figures[0].name}",
                    name=name,
                    title=title,
                )
            )
        else:
            lines.append(f"- [**{title}**](gallery/{name}.md)")
    joined = "\n".join(pictures)
    return (
        f"::::{{container}} cards\n\n{joined}\n::::\n\n"
        f"Programs that print alone:\n\n" + "\n".join(lines)
    )


def write(app):
    DIRECTORY.mkdir(exist_ok=True)
    write_pages(DIRECTORY, pages())


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
