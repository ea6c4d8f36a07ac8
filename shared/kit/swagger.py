"""Swagger at `/docs`, served from this machine: a mesh behind a firewall has documents too."""

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

DOCS = "/docs"
OPENAPI = "/openapi.json"
_ASSETS = f"{DOCS}/assets"


def is_document(path: str) -> bool:
    """Whether `path` is the Swagger page, one of its files, or the schema it shows."""
    return path in {DOCS, OPENAPI} or path.startswith(f"{_ASSETS}/")


def _page(app: FastAPI) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get(DOCS)
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI, title=app.title, swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css", swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )  # fmt: skip

    return routes


def install_swagger(app: FastAPI) -> None:
    """Give `app` its page, and its schema the key that every route wants."""
    app.include_router(_page(app))
    app.mount(_ASSETS, StaticFiles(directory=str(files("fastapi_offline").joinpath("static"))))
    plain = app.openapi

    def with_key() -> dict[str, Any]:
        schema = plain()
        schema.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        return schema

    app.openapi = with_key  # type: ignore[method-assign]
