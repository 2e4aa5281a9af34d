"""The least that a post through Python can cost: ``python -m tests.bench.enrich.floor --port N``.

Starlette and uvicorn, the body read as JSON, its ids answered. No grant, no checks, nothing kept: no service
of this kind accepts more in a second on the same cores, however fast its engine.
"""

from __future__ import annotations

import argparse
import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.edge.startup import serve


async def enrich(request: Request) -> Response:
    turns = json.loads(await request.body())["turns"]
    ids = [turn["turn_id"] for turn in turns]
    return JSONResponse({"accepted": ids, "duplicate": [], "rejected": []}, 202)


async def health(_request: Request) -> Response:
    return JSONResponse({"status": "healthy"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    routes = [Route("/memory/enrich", enrich, methods=["POST"]), Route("/health", health)]
    serve(Starlette(routes=routes), host="127.0.0.1", port=parser.parse_args().port)


if __name__ == "__main__":
    main()
