"""The flags of `demo`."""


def add_flags(command):
    """Adds them to the parser of the command."""
    command.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="prototypical_network_omniglot",
        help="a preset, or a folder that `fit` wrote (default: %(default)s; "
        "for photographs: prototypical_network_photos)",
    )
    command.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="where the page is served (default: %(default)s, for this "
        "machine only)",
    )
    command.add_argument(
        "--port",
        metavar="N",
        type=int,
        default=8765,
        help="the port of the address; 0 takes a free one (default: "
        "%(default)s)",
    )
