"""`python apps.py KIND PORT`: the small applications that are measured, each under Granian in one process.

A script of its own, importing only what its kind needs, since peers run in an environment of their own.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

ANSWER = b'{"items":[{"id":"a1"},{"id":"a2"}],"next":null}'


async def upstream(scope: Any, receive: Any, send: Any) -> None:
    """Answers everything."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def fastapi_app() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Thing(BaseModel):
        a0: str
        a1: str = ""
        a2: str = ""
        a3: str = ""
        a4: str = ""
        n0: int = 0
        n1: int = 0
        n2: int = 0
        n3: int = 0
        n4: int = 0

    app = FastAPI()

    @app.get("/things57/{thing_id}")
    async def get(thing_id: int, limit: int = 10, sort: str = "asc") -> dict[str, Any]:
        return {"items": [{"id": "a1"}, {"id": "a2"}], "next": None}

    @app.post("/things57")
    async def post(thing: Thing) -> dict[str, Any]:
        return {"items": [{"id": "a1"}, {"id": "a2"}], "next": None}

    return app


def application(kind: str) -> tuple[Any, Any, Any]:
    """(the ASGI application, what to await before serving, what after)."""
    if kind == "upstream":
        return upstream, None, None
    if kind == "bare proxy":
        from sallygate.proxy import ReverseProxy, UpstreamSettings

        proxy = ReverseProxy(UpstreamSettings(urls=(os.environ["UPSTREAM"],)))
        return proxy, proxy.start, proxy.close
    app = fastapi_app()
    if kind == "FastAPI + Sallygate":
        import sallygate

        guard = sallygate.Guard(app, policy=os.environ["POLICY"])
        return guard, guard.runtime.start, guard.runtime.stop
    if kind == "FastAPI + fastapi-guard":
        from guard import SecurityConfig, SecurityMiddleware

        config = SecurityConfig(enable_redis=False, rate_limit=10_000_000, rate_limit_window=60, enforce_https=False,
                                enable_agent=False)  # fmt: skip
        app.add_middleware(SecurityMiddleware, config=config)
    return app, None, None


async def serve(kind: str, port: int) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    app, start, stop = application(kind)
    if start is not None:
        await start()
    tls: dict[str, Any] = {}
    if "CERT" in os.environ:
        tls = {"ssl_cert": Path(os.environ["CERT"]), "ssl_key": Path(os.environ["KEY"])}
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False, **tls)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    task = asyncio.create_task(server.serve())
    await ended.wait()
    server.stop()
    await asyncio.wait([task], timeout=3)
    if stop is not None:
        await stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
