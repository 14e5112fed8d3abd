"""The same small API in three frameworks and in none, protected in both ways. What is served is said by the
environment: APP, HOW, POLICY and NOTES, a file to note its life in."""

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sallygate

ITEMS = {"items": [{"id": "a1"}, {"id": "a2"}], "next": None}


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(text + "\n")


@asynccontextmanager
async def life(_: Any):
    note("started")
    yield
    note("stopped")


def who(scope: Any) -> dict[str, Any]:
    principal = scope["sallygate"]
    return {"account": principal.account, "plan": principal.plan} if principal else {}


async def parts():
    for number in range(3):
        yield f"part {number}\n".encode()


def fastapi_app() -> Any:
    from fastapi import FastAPI, Request
    from fastapi.responses import StreamingResponse

    made = FastAPI(lifespan=life)

    @made.api_route("/things", methods=["GET", "HEAD"])
    async def things(limit: int = 2) -> dict[str, Any]:
        return ITEMS

    @made.post("/things", status_code=201)
    async def create(thing: dict[str, Any]) -> dict[str, Any]:
        return thing

    @made.get("/things/{thing_id}")
    async def one(thing_id: str, request: Request) -> Any:
        if thing_id == "stream":
            return StreamingResponse(parts(), media_type="text/plain")
        if thing_id == "fail":
            raise RuntimeError("the application failed")
        return who(request.scope)

    @made.get("/status")
    async def status() -> dict[str, Any]:
        return {"ok": True}

    return made


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    async def things(request: Any) -> Any:
        if request.method == "POST":
            return JSONResponse(await request.json(), 201)
        return JSONResponse(ITEMS)

    async def one(request: Any) -> Any:
        name = request.path_params["name"]
        if name == "stream":
            return StreamingResponse(parts(), media_type="text/plain")
        if name == "fail":
            raise RuntimeError("the application failed")
        return JSONResponse(who(request.scope))

    async def status(request: Any) -> Any:
        return JSONResponse({"ok": True})

    routes = [Route("/things", things, methods=["GET", "POST"]), Route("/things/{name}", one), Route("/status", status)]
    return Starlette(routes=routes, lifespan=life)


def litestar_app() -> Any:
    from litestar import Litestar, Request, get, head, post
    from litestar.response import Stream

    @get("/things")
    async def things(limit: int = 2) -> dict[str, Any]:
        return ITEMS

    @head("/things")
    async def things_head() -> None:
        return None

    @post("/things")
    async def create(data: dict[str, Any]) -> dict[str, Any]:
        return data

    @get("/things/{name:str}")
    async def one(name: str, request: Request) -> Any:
        if name == "stream":
            return Stream(parts(), media_type="text/plain")
        if name == "fail":
            raise RuntimeError("the application failed")
        return who(request.scope)

    @get("/status")
    async def status() -> dict[str, Any]:
        return {"ok": True}

    return Litestar([things, things_head, create, one, status], lifespan=[life])


async def plain_app(scope: Any, receive: Any, send: Any) -> None:
    """An application of no framework, that knows nothing of lifespans."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"ok":true}'})


def build() -> Any:
    name, how, policy = os.environ["APP"], os.environ["HOW"], os.environ["POLICY"]
    made = {"fastapi": fastapi_app, "starlette": starlette_app, "litestar": litestar_app, "plain": lambda: plain_app}
    inner = made[name]()
    if how == "wrapped":
        return sallygate.Guard(inner, policy=policy)
    inner.add_middleware(sallygate.Guard, policy=policy)
    return inner


if "APP" in os.environ:
    app = build()
