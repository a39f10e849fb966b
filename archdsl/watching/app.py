"""The web application of `archdsl watch`: a frame with the drawing, the errors over it, and a stream of changes.

Every request needs the token in its address, and the address as its host: a page of another site that finds the port,
or whose name leads to this machine (DNS rebinding), gets nothing. No cookie, as cookies do not depend on the port.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from importlib.resources import files

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archdsl.watching.follow import Followed

HOST = "127.0.0.1"
MAX_HEADERS = 16_384
"""The most bytes of a request's headers."""
ALIVE_S = 15.0
"""How often the stream of changes sends a line without content: a browser that is gone is noticed."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def application(followed: Followed, token: str, port: int) -> ASGIApp:
    """Return the application. `port` is the one it is served at, `token` the secret in its address."""

    frame_text = files(__package__).joinpath("watch.html").read_text(encoding="utf-8")
    frame_policy = _policy(frame_text)

    async def frame(request: Request) -> Response:
        return Response(frame_text, 200, frame_policy, "text/html")

    async def page(request: Request) -> Response:
        policy = {"Content-Security-Policy": "frame-ancestors 'self'"}  # the page has its own policy besides
        return Response(followed.page, 200 if followed.page else 404, policy, "text/html")

    async def events(request: Request) -> Response:
        return StreamingResponse(changes(followed), media_type="text/event-stream")

    routes = [Route("/", frame), Route("/page", page), Route("/events", events)]
    return _Guard(Starlette(routes=routes), token, port)


async def changes(followed: Followed) -> AsyncIterator[str]:
    """Yield the state now and after each change, as server-sent events."""
    while True:
        changed = followed.changed
        state = {"version": followed.version, "errors": followed.errors, "spec": followed.spec}
        yield f"data: {json.dumps(state)}\n\n"
        while not changed.is_set():
            try:
                await asyncio.wait_for(changed.wait(), ALIVE_S)
            except TimeoutError:
                yield ": \n\n"


class _Guard:
    """Refuses what the page does not request, and adds the headers that every response has."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token.encode()
        self.hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refused = self.refusal(Request(scope)) if scope["type"] == "http" else None
        if refused is not None:
            refused.headers["connection"] = "close"  # it does not stay open without the token
        await (refused or self.app)(scope, receive, send_with_headers)

    def refusal(self, request: Request) -> Response | None:
        """The response to a request of another host, another site, or without the token."""
        # The HTTP parser limits only what arrives in pieces.
        if sum(len(name) + len(value) for name, value in request.headers.raw) > MAX_HEADERS:
            return PlainTextResponse("the headers are too large\n", 431)
        if request.headers.getlist("host") not in [[host] for host in self.hosts]:
            return PlainTextResponse("wrong host\n", 421)
        origin = request.headers.get("origin")
        other = origin is not None and origin not in {f"http://{host}" for host in self.hosts}
        given = request.query_params.get("token", "").encode()
        if other or not secrets.compare_digest(given, self.token):
            return PlainTextResponse("open the address that archdsl watch printed\n", 403)
        return None


def _policy(text: str) -> dict[str, str]:
    """The policy of the frame: only its own script and style, by their hashes."""
    script, style = (
        b64encode(sha256(text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0].encode()).digest()).decode()
        for tag in ("script", "style")
    )
    policy = (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy}
