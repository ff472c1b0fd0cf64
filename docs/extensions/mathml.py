"""Formulas as MathML, which browsers draw without a script or a font file.

MathJax, Sphinx's own choice, is fetched from the internet.
"""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)

# The converter has `align*`, which differs from `aligned` outside of LaTeX's
# own paragraphs only.
SAME = {"aligned": "align*"}


def to_mathml(latex, display):
    """A formula as MathML.

    Args:
        latex: The formula without dollar signs.
        display: `"inline"` or `"block"`.

    Returns:
        The element `math`, as text.
    """
    for name, same in SAME.items():
        latex = latex.replace(f"{{{name}}}", f"{{{same}}}")
    found = convert(latex, display=display)
    if "\\" in found:
        logger.warning("the converter does not know a command in %r", latex)
    return found


def write_inline(translator, node):
    translator.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def write_block(translator, node):
    translator.body.append('<div class="formula">')
    translator.body.append(to_mathml(node.astext(), "block"))
    translator.body.append("</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer(
        "mathml", (write_inline, None), (write_block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
