"""Settings of the site, which `make docs` builds into `docs/_build`."""

import importlib
import os
import pathlib
import runpy
import sys
from importlib.resources import files

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]
# The API pages import TensorFlow, which need neither greet nor take a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
startup_lines = importlib.import_module("zoo.startup_lines")
startup_lines.filter_startup_lines()

project = "keras_meta"
author = "The keras_meta authors"
copyright = author
release = runpy.run_path(HERE.parent / "keras_meta" / "version.py")[
    "__version__"
]
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    # Of this folder.
    "api_pages",
    "zoo_pages",
    "gallery_pages",
    "notebook_pages",
    "directives",
    "docstring_markup",
    "names_in_code",
    "mathml",
]
exclude_patterns = ["_build", "README.md"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# Blocks without a language are commands and equations.
highlight_language = "none"
# A docstring marks code by single backquotes; a name that is documented
# becomes a link.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
# Docstrings say the types, with shapes and units.
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"

html_title = f"keras_meta {release}"
html_theme = "pydata_sphinx_theme"
html_static_path = [
    "_static",
    # The font of formulas, of a package that draws them.
    str(files("ziamath.fonts") / "STIXTwoMath-Regular.ttf"),
]
# Wide tables need the place of the menus.
html_sidebars = {"zoo": [], "changes": []}
html_css_files = ["site.css"]
html_js_files = ["sortable.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "keras_meta"},
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
