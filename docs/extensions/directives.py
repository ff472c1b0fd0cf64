"""Directives of the pages: what is taken from the code and the presets."""

import pathlib

import gallery_pages
import zoo_pages
from code_of import code_of
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import zoo
from zoo import preset_folder

ROOT = pathlib.Path(__file__).parents[2]


class OfPresets(SphinxDirective):
    """A table that is made anew when a measurement has changed."""

    def nodes_of(self, text):
        for results in zoo.PRESETS.glob(f"*/{preset_folder.RESULTS}"):
            self.env.note_dependency(str(results))
        self.env.note_dependency(str(zoo_pages.preset_times.STORED))
        return self.parse_text_to_nodes(text)


class Presets(OfPresets):
    """All presets of the zoo: `{presets}`."""

    def run(self):
        return self.nodes_of(zoo_pages.preset_table())


class Machine(OfPresets):
    """Where the milliseconds of `{presets}` were measured: `{machine}`."""

    def run(self):
        return self.nodes_of(zoo_pages.machine())


class Measured(OfPresets):
    """What was measured: `{measured} NAME ...`, or of all presets."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self):
        if self.arguments:
            text = zoo_pages.measurements(self.arguments[0].split())
        else:
            text = zoo_pages.measurements(zoo.list_presets(), folder="zoo")
        return self.nodes_of(text)


class Gallery(SphinxDirective):
    """The pictures of all examples: `{gallery}`."""

    def run(self):
        for path in gallery_pages.EXECUTED.rglob("*.png"):
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(gallery_pages.cards())


class CodeOf(SphinxDirective):
    """A function as it is: `{code-of} FILE NAME`."""

    required_arguments = 2

    def run(self):
        file, name = self.arguments
        path = ROOT / file
        self.env.note_dependency(str(path))
        code = code_of(path.read_text("utf-8"), name)
        block = nodes.literal_block(code, code, language="python")
        caption = nodes.caption("", "", nodes.literal("", f"{file}: {name}"))
        return [
            nodes.container(
                "", caption, block, literal_block=True, classes=["code-of"]
            )
        ]


def setup(app):
    app.add_directive("presets", Presets)
    app.add_directive("machine", Machine)
    app.add_directive("measured", Measured)
    app.add_directive("code-of", CodeOf)
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
