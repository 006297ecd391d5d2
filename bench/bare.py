"""The least that Starlette can do: one route that answers a JSON document. ``PORT FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def main(port: int, document: Path) -> None:
    """Serve until SIGTERM. The document is rendered for every request, as an API has to."""
    content = json.loads(document.read_bytes())

    async def answer(_: Request) -> JSONResponse:
        return JSONResponse(content)

    print("ready", flush=True)
    app = Starlette(routes=[Route("/", answer)])
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
