"""What stands before the server: foreign names, foreign pages, large bodies."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from zoo import addresses


class Guard:
    """An ASGI application in front of another one.

    Args:
        app: The other one.
        hosts: Names under which it answers; None for any.
        largest: Bytes of a body. More is status 413 where the body is read.
    """

    def __init__(self, app, hosts, largest):
        self.app = app
        self.hosts = hosts
        self.largest = largest

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(dict(scope["headers"]))
        if refused:
            fault = {"loc": ["header", refused[0]], "msg": refused[1]}
            response = JSONResponse(
                {"detail": [{**fault, "type": "refused"}]}, 403
            )
            await response(scope, receive, send)
            return
        await self.app(scope, self._counted(scope, receive), send)

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

    def _counted(self, scope, receive):
        """`receive` that raises as soon as a body is too large."""
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        read = 0

        async def counted():
            nonlocal read
            if not claimed.isdigit() or int(claimed) <= self.largest:
                message = await receive()
                read += len(message.get("body", b""))
                if read <= self.largest:
                    return message
            raise HTTPException(
                413,
                f"A request must hold at most {self.largest >> 20} MB.",
            )

        return counted
