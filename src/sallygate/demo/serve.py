"""Server of the sample API alone: `python -m sallygate.demo.serve PORT DATABASE`. The server ends when its standard
input closes, so that it never outlives the demonstration."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from sallygate.demo.api import create_app


async def serve(port: int, database: Path) -> None:
    """Serve the sample API on 127.0.0.1 until standard input closes."""
    server = Server(
        create_app(database), address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False,
        log_enabled=False,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.buffer.read)
    serving = loop.create_task(server.serve())
    await asyncio.wait({ended, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait_for(serving, 10)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
