"""Writes the pages of the API: one a module, and one a public name.

They lie in `docs/api`, which holds nothing else and is not kept.
"""

import importlib
import inspect
import pathlib
import re

DIRECTORY = pathlib.Path(__file__).parents[1] / "api"

# In the order of the menu.
MODULES = (
    "keras_meta",
    "keras_meta.models",
    "keras_meta.data",
    "keras_meta.data.augmentation",
    "keras_meta.encoders",
    "keras_meta.distances",
    "keras_meta.layers",
    "keras_meta.losses",
    "keras_meta.sequence_losses",
    "keras_meta.metrics",
    "keras_meta.ops",
    "keras_meta.batch_statistics",
    "keras_meta.callbacks",
    "keras_meta.calibration",
    "keras_meta.plots",
    "keras_meta.presets",
    "keras_meta.threads",
    "keras_meta.allocator",
    "keras_meta.typing",
    "zoo",
)

MODULE_PAGE = """\
# {module}

```{{eval-rst}}
.. automodule:: {module}
   :no-members:
```

{names}

```{{toctree}}
:hidden:

{pages}
```
"""
NAME_PAGE = """\
# {name}

```{{eval-rst}}
.. currentmodule:: {module}

.. {directive}:: {module}.{name}
{options}```
"""


def public_names(module):
    """The classes and functions that a module offers.

    Args:
        module: The module. A package offers what its `__init__.py` imports
            from within it, a file what it defines.

    Returns:
        Dict of the objects by name, in their order.
    """
    within = module.__name__
    is_package = hasattr(module, "__path__")
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or inspect.ismodule(value):
            continue
        home = getattr(value, "__module__", None) or ""
        own = home == within or is_package and home.startswith(within + ".")
        if own and (inspect.isclass(value) or inspect.isroutine(value)):
            found[name] = value
    return found


def summary(value):
    """The first sentence of a docstring."""
    text = inspect.getdoc(value) or ""
    return " ".join(text.split("\n\n")[0].split())


def pages():
    """The text of each page.

    Returns:
        Dict of Markdown by file name.
    """
    texts, seen = {}, set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        names = {
            name: value
            for name, value in public_names(module).items()
            if id(value) not in seen
        }
        seen.update(map(id, names.values()))
        for name, value in names.items():
            # The methods that are documented.
            is_class = inspect.isclass(value)
            texts[f"{module_name}.{name}.md"] = NAME_PAGE.format(
                module=module_name,
                name=name,
                directive="autoclass" if is_class else "autofunction",
                options="   :members:\n" if is_class else "",
            )
        texts[f"{module_name}.md"] = MODULE_PAGE.format(
            module=module_name,
            names="\n".join(
                f"- [`{name}`]({module_name}.{name}.md): {summary(value)}"
                for name, value in names.items()
            ),
            pages="\n".join(f"{name} <{module_name}.{name}>" for name in names),
        )
    return texts


def write_pages(directory, texts):
    """Writes pages, and removes those of earlier builds.

    A page that has not changed is not touched, so that Sphinx does not read it
    again.

    Args:
        directory: Folder that holds nothing else.
        texts: Dict of Markdown by file name.
    """
    directory.mkdir(exist_ok=True)
    for path in directory.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = directory / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def skip_inherited(app, what, name, obj, skip, options):
    """Leaves out the methods that scikit-learn adds to every estimator."""
    if re.fullmatch(r"set_\w+_request", name):
        return True
    return None


def setup(app):
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("builder-inited", lambda app: write_pages(DIRECTORY, pages()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
