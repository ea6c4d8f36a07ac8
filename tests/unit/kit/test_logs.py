"""What a log must not hold, and what its reader needs."""

import logging

import pytest

from shared.kit.logs import configure_logs


def test_a_key_in_a_websockets_address_stays_out_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("stream", "INFO", "text")
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.info('%s - "WebSocket %s" 403', "127.0.0.1:9", "/ws/metrics?token=imts-secret")
    uvicorn.info("Application startup complete.")
    said = capsys.readouterr().err
    assert "imts-secret" not in said
    assert "startup complete" in said


def test_a_line_of_text_says_on_which_day(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("stream", "INFO", "text")
    logging.getLogger("x").warning("something")
    assert capsys.readouterr().err[:2] == "20"
