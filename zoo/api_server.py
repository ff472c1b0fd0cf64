"""The server of `keras-meta serve`: classes and predictions over HTTP."""

import contextlib
import importlib.util

import zoo
from zoo import addresses
from zoo.serving_limits import Limits
from zoo.startup_lines import filter_startup_lines
from zoo.version import version

# Requests at once; more get status 503.
AT_ONCE = 64
DESCRIPTION = (
    "A few-shot classifier: add examples of classes, and classify others. "
    "Classes are kept while the server runs."
)


def check_installed():
    """Raises a ValueError unless the extra `serve` is installed."""
    for name in ("fastapi", "uvicorn", "python_multipart"):
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                "Serving needs FastAPI, uvicorn and python-multipart. Install "
                'them with `pip install "keras-meta[serve]"`. Received: no '
                f"{name}"
            )


def make_app(name, served, hosts=None):
    """The web application.

    Args:
        name: What the user called the model.
        served: `zoo.served_classifier.ServedClassifier`.
        hosts: Collection of the names under which it answers; None for any.

    Returns:
        A `fastapi.FastAPI`.
    """
    import fastapi

    from zoo import api_guard, api_messages

    app = fastapi.FastAPI(
        title=f"keras-meta serve {name}",
        description=DESCRIPTION,
        version=version(),
        # Those pages of FastAPI fetch scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        max_body_size=served.limits.megabytes << 20,
        responses={
            code: {"model": api_messages.Problem, "description": what}
            for code, what in (
                (400, "The body cannot be read"),
                (403, "A foreign name or page"),
                (413, "The body is too large"),
                (422, "A field cannot be used; it is named"),
            )
        },
    )
    _add_state(app, name, served)
    _add_classes(app, served)
    _add_predictions(app, served)
    _explain_errors(app)
    app.add_middleware(api_guard.Guard, hosts=hosts)
    return app


def _add_state(app, name, served):
    """Adds `/`, and `/healthz`."""
    from starlette.responses import HTMLResponse

    from zoo import api_messages, api_page

    @app.get("/", include_in_schema=False, response_class=HTMLResponse)
    def page():
        return api_page.page(app.openapi())

    @app.get("/healthz")
    def healthz() -> api_messages.Health:
        """Whether the server runs, and what it serves."""
        return api_messages.Health(
            status="ok",
            model=name,
            version=version(),
            **_known(served).model_dump(),
        )


def _add_classes(app, served):
    """Adds what lists, adds and removes classes."""
    from typing import Annotated

    import fastapi

    from zoo import api_messages

    new_class, _ = api_messages.requests(served.limits)
    files_of_it = _files(served.limits)
    refused = {409: {"model": api_messages.Problem, "description": "Too many"}}

    @app.get("/classes")
    def listed() -> api_messages.Known:
        """The classes, and how many examples each has."""
        return _known(served)

    @app.post("/classes", responses=refused)
    def add(sent: new_class) -> api_messages.Known:
        """Adds a class, or more examples of a class."""
        served.add(sent.label, sent.images)
        return _known(served)

    @app.post("/classes/files", responses=refused)
    def add_files(
        label: Annotated[api_messages.Label, fastapi.Form()],
        files: files_of_it,
    ) -> api_messages.Known:
        """Adds a class, or more examples of a class, from picture files."""
        with _named_files():
            served.add(label, [file.file.read() for file in files])
        return _known(served)

    @app.delete(
        "/classes",
        responses={
            404: {"model": api_messages.Problem, "description": "No such class"}
        },
    )
    def remove(label: str) -> api_messages.Known:
        """Forgets a class."""
        try:
            served.remove(label)
        except KeyError as error:
            raise fastapi.HTTPException(
                404, f"There is no class {label!r}."
            ) from error
        return _known(served)


def _add_predictions(app, served):
    """Adds what classifies examples."""
    from typing import Annotated

    import fastapi

    from zoo import api_messages

    _, query = api_messages.requests(served.limits)
    files_of_it = _files(served.limits)
    refused = {
        409: {"model": api_messages.Problem, "description": "Too few classes"}
    }

    @app.post("/predict", responses=refused)
    def predict(sent: query) -> api_messages.Answers:
        """Classifies examples, by the classes known or those of the request."""
        classes = sent.classes
        if classes is not None:
            classes = [(one.label, one.images) for one in classes]
        found = served.predict(sent.images, classes, sent.unknown)
        return api_messages.Answers(predictions=found)

    @app.post("/predict/files", responses=refused)
    def predict_files(
        files: files_of_it,
        unknown: Annotated[api_messages.Share | None, fastapi.Form()] = None,
    ) -> api_messages.Answers:
        """Classifies picture files, by the classes that are known."""
        with _named_files():
            images = [file.file.read() for file in files]
            found = served.predict(images, None, unknown)
        return api_messages.Answers(predictions=found)


def _files(limits):
    """The type of a form's files."""
    from typing import Annotated

    import fastapi

    return Annotated[
        list[fastapi.UploadFile],
        fastapi.File(min_length=1, max_length=limits.images),
    ]


@contextlib.contextmanager
def _named_files():
    """Names `files` where a form has them in the place of `images`."""
    from zoo.served_classifier import FieldError

    try:
        yield
    except FieldError as error:
        if error.field[0] != "images":
            raise
        raise FieldError(("files", *error.field[1:]), str(error)) from error


def _known(served):
    from zoo import api_messages

    classes = served.classes
    return api_messages.Known(classes=classes, ready=len(classes) > 1)


def _explain_errors(app):
    """Gives every error the form of `Problem`, without what was received.

    That may be large, or hold NaN, which JSON has not.
    """
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse

    from zoo.served_classifier import FieldError, StateError

    def problem(code, faults, headers=None):
        faults = [
            {"loc": [*place], "msg": text, "type": kind}
            for place, text, kind in faults
        ]
        return JSONResponse({"detail": faults}, code, headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_, error):
        return problem(
            422,
            [(one["loc"], one["msg"], one["type"]) for one in error.errors()],
        )

    @app.exception_handler(FieldError)
    def field(_, error):
        place = ("body", *error.field)
        return problem(422, [(place, str(error), "value_error")])

    @app.exception_handler(StateError)
    def state(_, error):
        return problem(409, [((), str(error), "state")])

    @app.exception_handler(HTTPException)
    def http(_, error):
        fault = ((), str(error.detail), "http")
        return problem(error.status_code, [fault], error.headers)


def serve(name, host, port, limits=None):
    """Answers requests until Ctrl-C.

    Args:
        name: A preset, or the folder of a classifier of `keras-meta fit`.
        host: The address to listen at.
        port: The port; 0 for any that is free.
        limits: `zoo.serving_limits.Limits`.

    Raises:
        ValueError: If the address cannot be taken, if FastAPI is missing, and
            as for `zoo.served_classifier.opening`.
    """
    check_installed()
    directory = zoo.preset_directory(name)
    filter_startup_lines()
    import uvicorn

    from zoo import served_classifier

    # First, since a model takes seconds to load and to compile.
    with contextlib.closing(addresses.listen(host, port)) as listening:
        address, port = listening.getsockname()[:2]
        hosts = addresses.own_names(host, address)
        served = served_classifier.ServedClassifier(
            *served_classifier.opening(name, directory), limits or Limits()
        )
        config = uvicorn.Config(
            make_app(name, served, hosts),
            log_level="warning",
            access_log=False,
            limit_concurrency=AT_ONCE,
        )
        shown = addresses.shown(address, port)
        print(
            f"{name} answers at {shown}, and {shown}/ says how to ask.\n"
            f"{addresses.who_can_open(hosts)} can ask; Ctrl-C ends it.",
            flush=True,
        )
        # Uvicorn ends its work at Ctrl-C, and passes it on.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    print("Ended.")
