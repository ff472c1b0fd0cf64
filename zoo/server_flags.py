"""The flags of the commands that serve: `demo` and `serve`."""

import math

from zoo.serving_limits import Limits

# As `zoo.flags.RANGES`.
RANGES = {
    "port": (0, 65535),
    "max_megabytes": (1, math.inf),
    "max_images": (1, math.inf),
    "max_classes": (2, math.inf),
    "max_examples": (2, math.inf),
}


def add_demo_flags(command):
    """Adds those of `demo` to its parser."""
    command.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="prototypical_network_omniglot",
        help="a preset, or a folder that `fit` wrote (default: %(default)s; "
        "for photographs: prototypical_network_photos)",
    )
    _add_address(command, 8765, "where the page is served")


def add_serve_flags(command):
    """Adds those of `serve` to its parser."""
    command.add_argument(
        "name",
        metavar="NAME",
        help="a preset, which begins without classes, or a folder that `fit` "
        "wrote",
    )
    _add_address(command, 8000, "where requests are answered")
    for name, what in (
        ("megabytes", "size of a request in MB"),
        ("images", "images of one class, or to classify, in a request"),
        ("classes", "classes that are known at once"),
        ("examples", "examples of all classes together"),
    ):
        command.add_argument(
            f"--max-{name}",
            metavar="N",
            type=int,
            default=getattr(Limits, name),
            help=f"largest {what} (default: %(default)s)",
        )


def limits(options):
    """The `Limits` that the flags of `serve` ask for."""
    return Limits(
        megabytes=options.max_megabytes,
        images=options.max_images,
        classes=options.max_classes,
        examples=options.max_examples,
    )


def _add_address(command, port, where):
    command.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help=f"{where} (default: %(default)s, for this machine only)",
    )
    command.add_argument(
        "--port",
        metavar="N",
        type=int,
        default=port,
        help="the port of the address; 0 takes a free one (default: "
        "%(default)s)",
    )
