"""The layout of the package holds: ranks of imports, names, house rules."""

import ast
import graphlib
import inspect
import pathlib

import keras
import pytest
import slow_tests

import keras_meta
import zoo
from zoo import cards, evaluate, exports, preset_folder

ROOT = pathlib.Path(__file__).parents[1]

# A module may import modules of lower ranks, and of its own folder.
RANKS = [
    ("keras_meta.pictures", "keras_meta.typing", "keras_meta.zoo_package"),
    (
        "keras_meta.allocator",
        "keras_meta.arrays",
        "keras_meta.checks",
        "keras_meta.ink_filters",
        "keras_meta.open_shapes",
        "keras_meta.resizing",
        "keras_meta.torch_weights",
        "keras_meta.version",
    ),
    (
        "keras_meta.serialization",
        "keras_meta.batch_statistics",
        "keras_meta.page",
        "keras_meta.ruled_lines",
        "keras_meta.strokes",
        "keras_meta.threads",
        "keras_meta.workers",
    ),
    ("keras_meta.convolution_blocks",),
    ("keras_meta.ops", "keras_meta.gradient_terms", "keras_meta.ink"),
    (
        "keras_meta.losses",
        "keras_meta.sequence_losses",
        "keras_meta.distances",
        "keras_meta.preprocessing",
    ),
    (
        "keras_meta.data",
        "keras_meta.graph",
        "keras_meta.layers",
        "keras_meta.metrics",
    ),
    ("keras_meta.pretrained_weights",),
    # Presets are of Keras models of any kind.
    ("keras_meta.encoders", "keras_meta.presets"),
    ("keras_meta.models",),
    ("keras_meta.callbacks",),
    (
        "keras_meta.calibration",
        "keras_meta.classifier_files",
        "keras_meta.classifier_litert",
        "keras_meta.left_out",
        "keras_meta.novelty",
        "keras_meta.task_examples",
    ),
    ("keras_meta.few_shot_classifier", "keras_meta.plots"),
    ("zoo",),
    ("examples", "benchmarks"),
]
# What imports a higher rank after all, inside a function: the names of the
# zoo are looked up when one is asked for, since the zoo stands on the library.
UPWARDS = {("keras_meta/zoo_package.py", "zoo")}
TENSORFLOW_ALLOWED = (
    "keras_meta/callbacks/resumable_training.py",
    "keras_meta/classifier_litert.py",
    "keras_meta/data/",
    "keras_meta/gradient_terms.py",
    "keras_meta/graph/",
    "keras_meta/layers/coordinate_blocks.py",
    "keras_meta/layers/episodic_batch_normalization.py",
    "keras_meta/layers/kernel_loop.py",
    "keras_meta/models/augmented_network.py",
    "keras_meta/models/failed_tasks.py",
    "keras_meta/models/functional.py",
    "keras_meta/models/gradient_based_model.py",
    "keras_meta/models/litert_file.py",
    "keras_meta/models/maml.py",
    "keras_meta/models/maml_plus_plus.py",
    "keras_meta/models/proto_maml.py",
    "keras_meta/models/meta_lstm.py",
    "keras_meta/models/meta_network.py",
    "keras_meta/models/open_verbs.py",
    "keras_meta/models/outer_loop.py",
    "keras_meta/models/replicated_fit.py",
    "keras_meta/models/reptile.py",
    "keras_meta/models/saved_model.py",
    "keras_meta/models/task_loop.py",
    "keras_meta/threads.py",
    "keras_meta/typing.py",
    "keras_meta/workers.py",
)
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("keras_meta", "zoo", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)
LIBRARY = sorted(
    path.relative_to(ROOT)
    for folder in ("keras_meta", "zoo")
    for path in (ROOT / folder).rglob("*.py")
)


def rank(name):
    for number, group in enumerate(RANKS):
        for prefix in group:
            if name == prefix or name.startswith(prefix + "."):
                return number, prefix
    return None


def imported(path):
    """The names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_lower_ranks_only(path):
    own = rank(".".join(path.with_suffix("").parts))
    assert own is not None, f"{path} has no rank"
    for name in imported(path):
        other = rank(name)
        if other and other[1] != own[1]:
            if (path.as_posix(), name) in UPWARDS:
                continue
            assert other[0] < own[0], f"{path} imports {name}"


def test_an_import_upwards_is_in_a_function():
    for path, name in UPWARDS:
        body = ast.parse((ROOT / path).read_text("utf-8")).body
        functions = [n for n in body if isinstance(n, ast.FunctionDef)]
        assert name in imported(path)
        # All imports of it are in functions of module level.
        found = [
            node
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import) and node.names[0].name == name
        ]
        assert len(found) == list(imported(path)).count(name)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in MODULES}), ids=str
)
def test_imports_inside_a_folder_are_never_circular(folder):
    """Nor those of functions; `__init__.py`, which is no module here, may."""
    modules = {
        ".".join(path.with_suffix("").parts): path
        for path in MODULES
        if path.is_relative_to(folder)
    }
    imports = {
        module: {
            other
            for name in imported(path)
            for other in modules
            if f"{name}.".startswith(f"{other}.")
        }
        for module, path in modules.items()
    }
    # It raises a CycleError that lists the circle.
    graphlib.TopologicalSorter(imports).prepare()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_tensorflow_stays_where_it_is_needed(path):
    if path.parts[0] != "keras_meta":
        return
    if str(path.as_posix()).startswith(TENSORFLOW_ALLOWED):
        return
    names = {name.split(".")[0] for name in imported(path)}
    assert "tensorflow" not in names


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_file_is_named_for_what_it_holds(path):
    assert path.stem not in ("utils", "base", "common", "helpers", "misc")


FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def wrapped_lines(function):
    """Lines that a signature takes beyond its first; type hints wrap it."""
    return function.body[0].lineno - function.lineno - 1


def lines_of_code(function):
    """Lines of a function from its `def` to its end, without docstring.

    Its signature counts as one line.
    """
    lines = function.end_lineno - function.lineno + 1
    lines -= max(0, wrapped_lines(function))
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_files_and_functions_are_short(path):
    text = (ROOT / path).read_text("utf-8")
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS)
    ]
    signatures = sum(max(0, wrapped_lines(node)) for node in functions)
    assert len(text.splitlines()) - signatures <= 400
    for node in functions:
        assert lines_of_code(node) <= 60, node.name


def test_what_the_quick_run_leaves_out_exists():
    texts = {
        path.stem: path.read_text("utf-8")
        for path in (ROOT / "tests").glob("*_test.py")
    }
    assert slow_tests.FILES | slow_tests.TESTS.keys() <= texts.keys()
    for file, names in slow_tests.TESTS.items():
        for name in names:
            assert f"def {name}(" in texts[file], name
    for case in slow_tests.CASES:
        assert f'"{case}"' in texts["conformance_test"], case


def public_objects():
    for module in (
        keras_meta,
        keras_meta.allocator,
        keras_meta.calibration,
        keras_meta.callbacks,
        keras_meta.data,
        keras_meta.distances,
        keras_meta.encoders,
        keras_meta.layers,
        keras_meta.metrics,
        keras_meta.models,
        keras_meta.plots,
        keras_meta.presets,
        keras_meta.sequence_losses,
        keras_meta.threads,
    ):
        for name, value in vars(module).items():
            if name.startswith("_") or inspect.ismodule(value):
                continue
            if getattr(value, "__module__", "").startswith("keras_meta"):
                yield pytest.param(value, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("thing", list(public_objects()))
def test_a_public_name_is_documented(thing):
    assert inspect.getdoc(thing)


def public_functions(thing):
    """A function itself; of a class what it and its bases here define."""
    if inspect.isfunction(thing):
        yield inspect.unwrap(thing)
    for cls in getattr(thing, "__mro__", ()):
        if not cls.__module__.startswith(("keras_meta", "zoo")):
            continue
        for name, value in vars(cls).items():
            if name.startswith("_") and name != "__init__":
                continue
            value = getattr(value, "__func__", getattr(value, "fget", value))
            if inspect.isfunction(inspect.unwrap(value)):
                yield inspect.unwrap(value)


@pytest.mark.parametrize(
    "thing",
    [
        *public_objects(),
        *(
            pytest.param(value, id=f"{value.__module__}.{name}")
            for module in (zoo, cards, evaluate, exports, preset_folder)
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        ),
    ],
)
def test_a_public_signature_has_type_hints(thing):
    for function in public_functions(thing):
        code = function.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & inspect.CO_VARARGS)
        count += bool(code.co_flags & inspect.CO_VARKEYWORDS)
        names = {*code.co_varnames[:count], "return"} - {"self", "cls"}
        if not function.__name__.startswith("_") or function.__name__ == (
            "__init__"
        ):
            missing = names - {*function.__annotations__}
            assert not missing, function.__qualname__


@pytest.mark.parametrize(
    "thing",
    [
        value
        for module in (
            keras_meta.layers,
            keras_meta.metrics,
            keras_meta.models,
            keras_meta.sequence_losses,
        )
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(
            value,
            keras.layers.Layer | keras.losses.Loss | keras.metrics.Metric,
        )
    ],
)
def test_a_keras_class_is_registered(thing):
    models = keras_meta.models
    if thing in (models.EpisodicModel, models.GradientBasedModel):
        return
    registered = keras.saving.get_registered_name(thing)
    assert registered == f"keras_meta>{thing.__name__}"


def test_nothing_prints():
    for path in MODULES:
        if path.parts[0] != "keras_meta":
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            called = getattr(getattr(node, "func", None), "id", None)
            assert called != "print", path
