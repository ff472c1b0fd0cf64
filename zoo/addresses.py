"""Where a server listens, and under which names it answers."""

import contextlib
import ipaddress
import socket
import urllib.parse


def listen(host, port):
    """A socket that listens at an address.

    Args:
        host: Name or number of an address of this machine.
        port: The port; 0 for any that is free.

    Raises:
        ValueError: If it cannot be taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        raise ValueError(
            "`--host` and `--port` must be an address of this machine that "
            f"is free; `--port 0` finds a port. Received: {host} and {port} "
            f"({error.strerror})"
        ) from error


def own_names(host, address):
    """The names under which a server of this machine only answers.

    Another name is a trick of a foreign page (DNS rebinding), which could
    then use the server.

    Args:
        host: What the user asked for.
        address: The number that it stands for.

    Returns:
        Set of str; None, for any name, if other machines can reach it.
    """
    if ipaddress.ip_address(address).is_loopback:
        return {"localhost", host, address}
    return None


def name_of(header):
    """The name in a `Host` header, without the port; None if there is none."""
    # What no browser sends may be no address at all.
    with contextlib.suppress(ValueError):
        return urllib.parse.urlsplit(f"//{header}").hostname
    return None


def shown(address, port):
    """An address as it is typed in a browser."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


def who_can_open(names):
    """Who can reach a server, in words.

    Args:
        names: What `own_names` returned.
    """
    return "Others on the network" if names is None else "This machine only"
