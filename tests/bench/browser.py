"""A real Chromium with an EventSource in it, driven over the WebDriver protocol."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.ports import free_port
from tests.waiting import eventually

_OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_LISTEN = """
window.heard = [];
window.hasEnded = false;
const source = new EventSource(arguments[0]);
source.addEventListener("metrics_update", message => {
  const now = performance.timeOrigin + performance.now();
  const event = JSON.parse(message.data);
  window.heard.push([event.data.step, now - Date.parse(event.timestamp)]);
});
source.addEventListener("stream_end", () => { window.hasEnded = true; source.close(); });
"""


def is_there() -> bool:
    """Whether this machine has Chromium and its driver."""
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


class Page:
    """One page of one browser."""

    def __init__(self, session: httpx.Client) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Go there; what a script then opens comes from the same origin."""
        self._session.post("url", json={"url": url}).raise_for_status()

    def run(self, script: str, *arguments: object) -> Any:
        """What the script returns."""
        answer = self._session.post("execute/sync", json={"script": script, "args": arguments})
        answer.raise_for_status()
        return answer.json()["value"]

    def listen(self, path: str) -> None:
        """Open an EventSource that notes each logging step and how many milliseconds old it was."""
        self.run(_LISTEN, path)

    def heard(self, within_s: float) -> list[tuple[int, float]]:
        """Steps and their ages, once the stream has ended."""
        eventually(lambda: self.run("return window.hasEnded"), within_s=within_s)
        return [(step, age) for step, age in self.run("return window.heard") if step is not None]


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser with a page, gone afterwards."""
    port = free_port()
    with subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL) as driver:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
                eventually(lambda: _is_ready(http), within_s=30)
                wish = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": _OPTIONS}}}}
                answer = http.post("/session", json=wish)
                answer.raise_for_status()
                http.base_url = httpx.URL(f"http://127.0.0.1:{port}/session/{answer.json()['value']['sessionId']}/")
                try:
                    yield Page(http)
                finally:
                    http.delete("")
        finally:
            driver.terminate()


def _is_ready(http: httpx.Client) -> bool:
    try:
        return bool(http.get("/status").json()["value"]["ready"])
    except httpx.TransportError:
        return False
