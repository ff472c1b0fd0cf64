"""Names of the library in the text of a page lead to the API.

`km.models.MAML` between backquotes becomes a link. A name that does not exist
is a warning, so pages stay true when the library changes.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

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


def setup(app):
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
