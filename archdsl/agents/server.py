"""The server of `archdsl mcp`: the Model Context Protocol over standard input and output.

Each call runs in a worker process, which is killed when the call takes too long or the client cancels it, and has
limited memory. The server itself reads no spec.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from archdsl.agents.results import Drawn, Failed, Pictured, problems_of
from archdsl.agents.specs import root as readable_folder
from archdsl.agents.tools import TOOLS
from archdsl.diagnostics import ArchError, error
from archdsl.frontends.limits import memory_in_use
from archdsl.packages import require_package
from archdsl.version import __version__

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp_types import CallToolResult
    from pydantic import BaseModel

LIMIT_S = 50.0
"""The longest time that a call may take."""
MEMORY = 4 << 30
"""The most bytes of address space that a worker may use, beyond those that it starts with."""

INSTRUCTIONS = """\
archdsl describes convolutional networks as YAML specs, computes every shape and cost without building a model, and
draws them. Write a spec, call `check` until `ok` is true, then read the shapes with `params`. A spec:

name: tiny
input: 3x32x32                     # channels x height x width; 12x5000 is a signal, 1x96x96x96 a volume
args: {classes: 10}
defaults: {conv: bn relu}          # what follows each conv
blocks:
  basic(w, s=1):
    residual:
      conv1: 3x3 conv w /s         # w filters, stride s, padded so that stride 1 keeps the size
      conv2: 3x3 conv w linear     # no activation
    then: relu
net:
  stem: 3x3 conv 16
  body:
    - 2 * basic(16)
    - basic(32, 2)
  pool: gap
  fc: fc classes

`expand` with form `written` shows how a network of the library is written; `explain` explains a code of a problem.
"""


def serve(root: str | Path | None = None) -> None:
    """Serve the tools on standard input and output until the client closes them.

    `root`: a folder; an agent may name spec files below it. Raises E0807 if the package mcp is not installed, E0114 if
    `root` is not a folder.
    """
    require_package("mcp")
    if root is not None and not Path(root).is_dir():
        raise error("E0114", f"cannot read {root}: it is not a folder", status=2)
    server(None if root is None else Path(root).resolve()).run()


def server(root: Path | None = None) -> MCPServer[Any]:
    """Return the server, which serves any transport of the package."""
    import anyio
    from mcp.server import MCPServer
    from mcp_types import ToolAnnotations

    readable = f"\nA `spec` is a text, a name, or a spec file below {root}.\n" if root is not None else ""
    out: MCPServer[Any] = MCPServer(
        "archdsl", instructions=INSTRUCTIONS + readable, version=__version__, log_level="WARNING"
    )
    reads_only = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    one_at_a_time = anyio.CapacityLimiter(1)
    for name, tool in TOOLS.items():
        out.add_tool(_called(name, tool, root, one_at_a_time), name=name, annotations=reads_only)
    return out


def _called(
    name: str, tool: Callable[..., BaseModel], root: Path | None, limiter: Any
) -> Callable[..., Awaitable[CallToolResult]]:
    """The tool as an async function with the same parameters, which runs it in a worker."""
    from anyio import fail_after, to_process
    from mcp_types import CallToolResult

    @wraps(tool)
    async def call(**arguments: Any) -> CallToolResult:
        try:
            async with limiter:
                with fail_after(LIMIT_S):
                    # The first `list` counts the library and caches it; a second call must not begin anew.
                    result = await to_process.run_sync(partial(work, name, root, arguments), cancellable=name != "list")
        except TimeoutError:
            result = failed(error("E0891", f"the call took longer than {LIMIT_S:.0f} s, the limit", status=2))
        return _answer(result)

    returned = Drawn if name == "diagram" else tool.__annotations__["return"]
    call.__annotations__ = {**tool.__annotations__, "return": Annotated[CallToolResult, returned]}
    return call


def work(name: str, root: Path | None, arguments: dict[str, Any]) -> BaseModel:
    """Run a tool in a worker process."""
    _limit_memory()
    token = readable_folder.set(root)
    try:
        return TOOLS[name](**arguments)
    except ArchError as problem:
        return failed(problem)
    except MemoryError:
        return failed(error("E0891", f"the call needs more than {MEMORY >> 30} GiB of memory, the limit", status=2))
    finally:
        readable_folder.reset(token)


def failed(problem: ArchError) -> Failed:
    """Return an error as an answer."""
    return Failed(text=str(problem), problems=problems_of(problem.diagnostics))


def _answer(result: BaseModel) -> CallToolResult:
    """The answer of a tool: its data, also as text for clients that read no data; a drawing as SVG and as an image."""
    from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent

    if isinstance(result, Failed):
        data = {"problems": [problem.model_dump() for problem in result.problems]}
        return CallToolResult(content=[TextContent(text=result.text)], structured_content=data, is_error=True)
    if not isinstance(result, Pictured):
        data = result.model_dump(mode="json")
        return CallToolResult(content=[TextContent(text=json.dumps(data))], structured_content=data)
    content: list[ContentBlock] = []
    if result.svg:
        content.append(TextContent(text=result.svg))
    if result.png:
        content.append(ImageContent(data=result.png, mime_type="image/png"))
    return CallToolResult(content=content, structured_content=result.model_dump(include=set(Drawn.model_fields)))


def _limit_memory() -> None:
    """Limit the memory of this worker once. Windows has no such limit."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (memory_in_use() + MEMORY, hard))
