"""The part of the orchestrator that other services ask about API keys."""

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from shared.kit.auth import hash_key


def key_directory(*keys: str) -> FastAPI:
    """An app that knows `keys`, and answers 404 for every other."""
    app = FastAPI()
    known = {hash_key(key) for key in keys}

    @app.get("/internal/keys/{key_hash}")
    async def identify(key_hash: str) -> JSONResponse:
        if key_hash in known:
            return JSONResponse({"name": "somebody", "is_admin": True})
        return JSONResponse({"error": {"type": "not_found_error", "code": "not_found", "message": "no"}}, 404)

    return app
