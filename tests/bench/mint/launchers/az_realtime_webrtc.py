"""az-realtime-webrtc (PyPI) behind its FastAPI router, with the faster loop and parser that uvicorn knows.

The package builds Azure's host from the name of the resource and has no setting for another; the address of
the upstream is put in its place here.
"""

import sys

import uvicorn
from azure_realtime_webrtc.server import fastapi_middleware
from azure_realtime_webrtc.types import ApiKeyAuth
from fastapi import FastAPI


def main(port: str, upstream: str) -> None:
    manager = fastapi_middleware.TokenManager
    fastapi_middleware.TokenManager = lambda _url, auth, body: manager(upstream, auth, body)
    app = FastAPI()
    app.include_router(
        fastapi_middleware.create_fastapi_router(
            resource="bench",
            deployment="gpt-realtime",
            auth=ApiKeyAuth(api_key="bench-key"),
            session={
                "instructions": "You are a calm colleague. " * 10,
                "audio": {"output": {"voice": "marin"}},
            },
        )
    )
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
