"""The lines of a function of the library, for a page that explains them."""

import ast
import textwrap


def code_of(text, name):
    """The code of a function or method, without indentation and docstring.

    A page says in its own words what the docstring says.

    Args:
        text: That of the file.
        name: Such as `class_means` or `MAML.inner_step`.

    Returns:
        str.

    Raises:
        ValueError: If the file has no such function.
    """
    found = ast.parse(text)
    for part in name.split("."):
        named = [n for n in found.body if getattr(n, "name", None) == part]
        if not named:
            raise ValueError(f"There is no {name!r}.")
        found = named[0]
    lines = text.splitlines()
    first = min([found, *found.decorator_list], key=lambda n: n.lineno).lineno
    shown = set(range(first, found.end_lineno + 1))
    if ast.get_docstring(found):
        docstring = found.body[0]
        shown -= set(range(docstring.lineno, docstring.end_lineno + 1))
        # The empty line behind it.
        if not lines[docstring.end_lineno].strip():
            shown.discard(docstring.end_lineno + 1)
    code = "\n".join(lines[number - 1] for number in sorted(shown))
    return textwrap.dedent(code)
