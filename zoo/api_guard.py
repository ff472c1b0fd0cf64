"""What stands before the server: foreign names, and pages of other sites."""

from starlette.responses import JSONResponse

from zoo import addresses


class Guard:
    """An ASGI application in front of another one.

    Args:
        app: The other one.
        hosts: Names under which it answers; None for any.
    """

    def __init__(self, app, hosts):
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope, receive, send):
        answer = self.app
        if scope["type"] == "http":
            refused = self._refused(dict(scope["headers"]))
            if refused:
                header, text = refused
                fault = {"loc": ["header", header], "msg": text}
                answer = JSONResponse(
                    {"detail": [{**fault, "type": "refused"}]}, 403
                )
        await answer(scope, receive, send)

    def _refused(self, headers):
        """The header for which a request is refused, and why; or None."""
        host = addresses.name_of(headers.get(b"host", b"").decode("latin-1"))
        if self.hosts is not None and host not in self.hosts:
            return "host", "this server has another name"
        origin = headers.get(b"origin")
        if origin is None:
            return None
        # A page of another site can send forms, though not read answers.
        _, _, name = origin.decode("latin-1").partition("://")
        if addresses.name_of(name) != host:
            return "origin", "pages of other sites may not use this server"
        return None
