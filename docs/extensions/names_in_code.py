"""Names of the library in the text of a page lead to the API.

`km.models.MAML` between backquotes becomes a link. A name that does not exist
is a warning, so pages stay true when the library changes. Docstrings may leave
out the module: `EpisodicModel`.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

NAME = re.compile(r"(?:km|keras_meta)((?:\.\w+)+)(?:\(\))?")


class LinkNames(SphinxTransform):
    default_priority = 400

    def apply(self):
        if self.env.docname.startswith(("api/", "changes")):
            # Docstrings have links of their own, and old names change.
            return
        for literal in list(self.document.findall(nodes.literal)):
            found = NAME.fullmatch(literal.astext())
            if not found or isinstance(literal.parent, nodes.reference):
                continue
            link = addnodes.pending_xref(
                "",
                refdomain="py",
                reftype="obj",
                reftarget="keras_meta" + found[1],
                refexplicit=True,
                refwarn=True,
            )
            link.source, link.line = literal.source, literal.line
            literal.replace_self(link)
            link += literal


def find_without_module(app, env, node, contnode):
    """The only class or function of a name that a docstring mentions.

    Of the functions those alone whose name is no English word.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not (
        target[:1].isupper() or "_" in target
    ):
        return None
    found = [
        (name, entry)
        for name, entry in env.get_domain("py").objects.items()
        if name.rpartition(".")[2] == target
        and entry.objtype in ("class", "function")
        and not entry.aliased
    ]
    if len(found) != 1:
        return None
    ((name, entry),) = found
    return make_refnode(
        app.builder,
        node["refdoc"],
        entry.docname,
        entry.node_id,
        contnode,
        name,
    )


def setup(app):
    app.add_transform(LinkNames)
    app.connect("missing-reference", find_without_module)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
