"""The server of `archdsl watch`: on this machine only, until it is interrupted."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_range
from archdsl.packages import require_package

if TYPE_CHECKING:
    from archdsl.watching.follow import Followed

MAX_CONNECTIONS = 256
HEADERS_S = 3


def watch(
    spec: str,
    *,
    args: Mapping[str, str] | None = None,
    input: str | None = None,
    port: int = 0,
    ready: Callable[[str], None],
) -> None:
    """Serve the interactive page of a spec, which follows its file and those that it extends, until interrupted.

    Only this machine can connect, with the token in the address that `ready` receives. `port` 0 is any free port.

    Raises E0807 without the packages of the extra `serve`, E0895 if the port is not free, and the errors of `Followed`.
    Errors in the spec are shown on the page.
    """
    check_range("port", port, 0, 65_535)
    for package in ("starlette", "uvicorn", "watchfiles"):
        require_package(package)
    from archdsl.watching.app import HOST
    from archdsl.watching.follow import Followed

    followed = Followed(spec, args or {}, input)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as problem:
            why = (problem.strerror or str(problem)).lower()
            help_ = "choose another `--port`, or leave it out for a free one"
            raise error("E0895", f"cannot listen on port {port}: {why}", status=2, help=help_) from None
        asyncio.run(_serve(followed, listener, ready))


def _prompt() -> type[asyncio.Protocol]:
    """A protocol that closes a connection without a complete request after HEADERS_S seconds: uvicorn waits without
    end, and MAX_CONNECTIONS of another user of the machine would keep the owner out."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Prompt(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(HEADERS_S, self._close_unused)

        def _close_unused(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Prompt


async def _serve(followed: Followed, listener: socket.socket, ready: Callable[[str], None]) -> None:
    import uvicorn

    from archdsl.watching.app import HOST, MAX_HEADERS, application

    token, port = secrets.token_urlsafe(32), listener.getsockname()[1]
    await asyncio.to_thread(followed.read)
    config = uvicorn.Config(
        application(followed, token, port),
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        http=_prompt(),
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADERS,
        timeout_graceful_shutdown=1,  # the streams of changes never end on their own
    )
    listener.listen()
    ready(f"http://{HOST}:{port}/?token={token}")
    stop = asyncio.Event()
    following = asyncio.create_task(followed.follow(stop))
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        stop.set()
        await following
