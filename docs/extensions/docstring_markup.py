"""Docstrings as the code has them, in the markup that Sphinx reads.

A docstring shows equations as an indented block after a colon and choices as
a table of Markdown, both of which reStructuredText takes for something else.
"""

import inspect
import re

BORDER = re.compile(r"^\|[-:| ]+\|$")


def indent_of(line):
    """Spaces before the first character of a line."""
    return len(line) - len(line.lstrip())


def mark_literal_blocks(lines):
    """Doubles the colon before a block that is set off and indented.

    A section of a docstring, such as `Args:`, has no empty line before its
    block and stays.

    Args:
        lines: List of str, without the indentation that all share.

    Returns:
        A new list.
    """
    marked = list(lines)
    for number in range(len(lines) - 2):
        line, empty, block = lines[number : number + 3]
        if not line.rstrip().endswith(":") or empty.strip():
            continue
        deeper = indent_of(block) > indent_of(line)
        if deeper and not block.lstrip().startswith((">>>", "- ", "|")):
            marked[number] = line.rstrip() + ":"
    return marked


def convert_tables(lines):
    """Turns tables of Markdown into `list-table` directives.

    Args:
        lines: List of str.

    Returns:
        A new list.
    """
    converted, position = [], 0
    while position < len(lines):
        rows = []
        while position < len(lines) and lines[position].startswith("|"):
            rows.append(lines[position].rstrip())
            position += 1
        if not rows:
            converted.append(lines[position])
            position += 1
            continue
        converted += [".. list-table::", "   :header-rows: 1", ""]
        for row in rows:
            if BORDER.match(row):
                continue
            first, *rest = (cell.strip() for cell in row[1:-1].split("|"))
            converted.append(f"   * - {first}")
            converted += [f"     - {cell}" for cell in rest]
    return converted


def join_names(lines):
    """Puts a name that goes on in the next line into one line.

    Args:
        lines: List of str.

    Returns:
        A new list.
    """
    text = re.sub(r"(`[\w.]+\.)\n *([\w.]+`)", r"\1\2", "\n".join(lines))
    return text.split("\n")


def signature(app, what, name, obj, options, arguments, returns):
    """The arguments of a class, which those of Keras do not show.

    Without types, as in the whole API: docstrings say them with their shapes.
    """
    if what != "class":
        return None
    found = inspect.signature(obj.__init__)
    _, *own = (
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in found.parameters.values()
    )
    empty = inspect.Signature.empty
    found = found.replace(parameters=own, return_annotation=empty)
    return str(found), returns


def process(app, what, name, obj, options, lines):
    lines[:] = convert_tables(mark_literal_blocks(join_names(lines)))
    # Napoleon escapes the stars of one name, not of two.
    lines[:] = [
        line.replace("*args, **kwargs", r"\*args, \*\*kwargs") for line in lines
    ]


def setup(app):
    # Before that of napoleon, which has the priority 500.
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
