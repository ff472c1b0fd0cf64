"""The server of the demo: a page, and the answers that it asks for.

The page holds all pictures and sends them with each question, to this machine
only; the server keeps nothing but what it has learned last.
"""

import base64
import binascii
import contextlib
import functools
import importlib.util
import pathlib
import threading

import zoo
from zoo import addresses
from zoo.startup_lines import filter_startup_lines

PAGE = pathlib.Path(__file__).parent / "demo_page"
# Bytes of a question, and of a file that the user chooses.
LARGEST = 256 * 2**20
# A browser fetches nothing that the page itself does not bring: neither what a
# mistake in the page asks for, nor what is hidden in a name.
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def check_installed():
    """Raises a ValueError unless the extra `demo` is installed."""
    if importlib.util.find_spec("flask") is None:
        raise ValueError(
            "The demo needs Flask, which is not installed. Install it with "
            '`pip install "keras-meta[demo]"`.'
        )


def make_app(name, model, classes=(), hosts=None):
    """The web application.

    Args:
        name: What the user called the model, for the page.
        model: An `EpisodicModel` of pictures.
        classes: The classes that the page begins with, as in
            `zoo.demo_answers`.
        hosts: Collection of the names under which it answers; None for any.

    Returns:
        A `flask.Flask`.
    """
    import flask

    from zoo import demo_answers

    app = flask.Flask(
        __name__, static_folder=str(PAGE), static_url_path="/page"
    )
    app.config.update(MAX_CONTENT_LENGTH=LARGEST)
    said = _opening(name, model, classes)
    # One question at a time: a model uses all cores.
    lock = threading.Lock()
    # A new question about the same classes is answered without learning.
    learn = functools.lru_cache(maxsize=1)(
        functools.partial(demo_answers.learn, model)
    )

    @app.get("/")
    def page():
        return flask.send_from_directory(PAGE, "index.html")

    @app.get("/opening")
    def opening():
        return said

    @app.post("/picture")
    def picture():
        file, called = flask.request.get_data(), flask.request.args["name"]
        return {"picture": _url(demo_answers.read_picture(file, called))}

    @app.post("/answer")
    def answer():
        asked, query = _question(flask.request.get_json())
        with lock:
            found = demo_answers.answer(learn(asked), model, query)
        if found["seen"]:
            found["seen"] = _url(found["seen"])
        return found

    _explain_errors(app)
    _keep_to_this_machine(app, hosts)
    return app


def _opening(name, model, classes):
    """What the page has to know before it is used, as a dict."""
    from matplotlib.colors import to_hex

    from keras_meta.plots.colours import COLOURS
    from zoo.demo_answers import CLASSES, embeds

    return {
        "model": name,
        "drawings": bool(model.preprocessing.ink),
        "classes": [
            {"name": label, "pictures": [*map(_url, pictures)]}
            for label, pictures in classes
        ],
        "mostClasses": min(CLASSES, model.fixed_way or CLASSES),
        "embeds": embeds(model),
        "colours": [*map(to_hex, COLOURS)],
    }


def _explain_errors(app):
    """Answers what the user can mend with a text for the page."""

    @app.errorhandler(ValueError)
    def explained(error):
        return {"error": str(error)}, 400

    @app.errorhandler(413)
    def too_large(_):
        text = f"More than {LARGEST >> 20} MB at once are too much."
        return {"error": text}, 413


def _keep_to_this_machine(app, hosts):
    """Refuses foreign names, and forbids the page to fetch from elsewhere."""
    import flask

    @app.before_request
    def check_host():
        asked = addresses.name_of(flask.request.host)
        if hosts is not None and asked not in hosts:
            flask.abort(400)

    @app.after_request
    def with_policy(response):
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response


def serve(name, host, port):
    """Serves the demo until Ctrl-C.

    Args:
        name: A preset, or the folder of a classifier of `keras-meta fit`.
        host: The address to listen at.
        port: The port; 0 for any that is free.

    Raises:
        ValueError: If the address cannot be taken, if Flask is missing, and
            as for `zoo.demo_answers.opening`.
    """
    check_installed()
    directory = zoo.preset_directory(name)
    filter_startup_lines()
    from werkzeug.serving import WSGIRequestHandler, make_server

    from zoo import demo_answers

    class Handler(WSGIRequestHandler):
        def log_request(self, *_):
            """Says nothing: a page asks often."""

    # First, since a model takes seconds to load. Werkzeug, asked for an
    # address that is taken, ends the process.
    with contextlib.closing(addresses.listen(host, port)) as listening:
        address, port = listening.getsockname()[:2]
        hosts = addresses.own_names(host, address)
        app = make_app(name, *demo_answers.opening(name, directory), hosts)
        server = make_server(
            address,
            port,
            app,
            threaded=True,
            request_handler=Handler,
            fd=listening.fileno(),
        )
        print(
            f"The demo of {name} is at {addresses.shown(address, port)}\n"
            f"{addresses.who_can_open(hosts)} can open it; Ctrl-C ends it.",
            flush=True,
        )
        # It returns at Ctrl-C.
        server.serve_forever()
    print("Ended.")


def _question(sent):
    """The classes and the query that the page sent, checked.

    Returns:
        `(classes, query)` as `zoo.demo_answers` takes them.
    """
    try:
        classes = tuple(
            (str(one["name"]), tuple(map(_bytes, one["pictures"])))
            for one in sent["classes"]
        )
        query = sent["query"]
        return classes, None if query is None else _bytes(query)
    except (TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise ValueError(
            "A question must hold `classes`, with `name` and `pictures` each, "
            f"and `query`. Received: {type(error).__name__}: {error}"
        ) from error


def _bytes(url):
    """The file in a data URL."""
    return base64.b64decode(url.partition(";base64,")[2], validate=True)


def _url(file):
    """A PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(file).decode()
