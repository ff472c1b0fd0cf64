"""Runs notebooks from top to bottom and stores what their cells show.

    python notebooks/run_notebooks.py [FILE ...]

It needs no Jupyter: cells are run one after the other in one namespace. An
output is what a cell prints, the value of its last line, or a figure.
"""

import ast
import base64
import contextlib
import io
import json
import pathlib
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))


def read(path):
    """The notebook of a file, as a dict (nbformat 4)."""
    return json.loads(pathlib.Path(path).read_text("utf-8"))


def code_cells(notebook):
    """The cells of code of a notebook."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run_cell(code, session):
    """Runs a cell.

    Args:
        code: str.
        session: Dict of the names that cells before it have left; it changes.

    Returns:
        `(printed, value)`: str, and the value of a last line that is an
        expression, else None.
    """
    tree = ast.parse(code)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), session)
        value = last and eval(compile(last, "cell", "eval"), session)
    return printed.getvalue(), value


def outputs_of(printed, value, number):
    """The outputs of a cell in the form of nbformat 4.

    Args:
        printed, value: As `run_cell` returns them.
        number: The cell's number.

    Returns:
        List of dicts.
    """
    found = []
    if printed:
        lines = printed.splitlines(keepends=True)
        found.append({"name": "stdout", "output_type": "stream", "text": lines})
    if value is None:
        return found
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "savefig"):
        file = io.BytesIO()
        value.savefig(file, format="png", dpi=80, bbox_inches="tight")
        data["image/png"] = base64.b64encode(file.getvalue()).decode() + "\n"
    return [
        *found,
        {
            "data": data,
            "execution_count": number,
            "metadata": {},
            "output_type": "execute_result",
        },
    ]


def run(notebook, shorten=lambda code: code):
    """Runs the cells of a notebook in a folder that is thrown away.

    Args:
        notebook: What `read` returns; its outputs are replaced.
        shorten: Function from code to the same with less of it.

    Returns:
        Dict of the names that are left.
    """
    session = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, cell in enumerate(code_cells(notebook), start=1):
            code = shorten("".join(cell["source"]))
            cell["outputs"] = outputs_of(*run_cell(code, session), number)
            cell["execution_count"] = number
    return session


def main():
    for path in sys.argv[1:] or sorted(FOLDER.glob("*.ipynb")):
        print(path, flush=True)
        notebook = read(path)
        run(notebook)
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        pathlib.Path(path).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
