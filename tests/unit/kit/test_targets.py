"""Servers outside are named by the operator, each once, by a plain URL."""

import pytest

from shared.kit.targets import Hub, parse_hubs, parse_targets


def test_targets_are_read_by_name() -> None:
    assert parse_targets(" office=http://10.0.0.5:11434/ , lab=https://lab.example/ollama") == {
        "office": "http://10.0.0.5:11434",
        "lab": "https://lab.example/ollama",
    }
    assert parse_targets("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "http://x:1",
        "office=ftp://x",
        "office=http://u:p@x",
        "office=http://x?a=1",
        "a=http://x,a=http://y",
        "a b=http://x",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"name=http|called a"):
        parse_targets(text)


def test_a_hub_is_an_address_and_whose_repositories_may_be_written() -> None:
    assert parse_hubs("hf=https://huggingface.co/my-org,own=https://hub.example/api/team/") == {
        "hf": Hub("https://huggingface.co", "my-org"),
        "own": Hub("https://hub.example/api", "team"),
    }
    assert parse_hubs("here=http://127.0.0.1:9/team")["here"].endpoint == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "text",
    ["hf=https://huggingface.co", "hf=https://huggingface.co/", "hf=http://hub.example/team", "hf=https://x/.."],
)
def test_what_is_no_hub_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"namespace|https"):
        parse_hubs(text)
