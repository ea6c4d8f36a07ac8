"""Every service shows its own documents to people on this machine, without the internet."""

import re

import httpx
import pytest

from tools.settings_of import applications

APPS = applications("a-secret-for-documents-" * 3)
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("service", APPS)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _get(service: str, path: str, caller: str = "127.0.0.1") -> httpx.Response:
    transport = httpx.ASGITransport(app=APPS[service], client=(caller, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


async def test_the_swagger_page_names_only_files_that_this_service_has(service: str) -> None:
    page = (await _get(service, "/docs")).text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 3
    assert [address for address in named if (await _get(service, address)).status_code != 200] == []


async def test_documents_are_closed_to_other_machines(service: str) -> None:
    for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
        assert (await _get(service, path, caller="192.0.2.1")).status_code == 401


async def test_the_schema_says_that_a_key_is_needed(service: str) -> None:
    schema = (await _get(service, "/openapi.json")).json()
    assert schema["security"] == [{"key": []}]
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
