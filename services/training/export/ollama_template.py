"""How Ollama is to talk to a model: LLaMA-Factory's template in Ollama's words."""

import re
from pathlib import Path
from typing import Any

from llamafactory.data.template import TEMPLATES
from transformers import AutoTokenizer

_TEMPLATE = re.compile(r'TEMPLATE """(.*?)"""\n', re.DOTALL)
_SYSTEM = re.compile(r'SYSTEM """(.*?)"""\n', re.DOTALL)
_STOP = re.compile(r'PARAMETER stop "(.*)"')


def ollama_words(folder: Path, template: str) -> dict[str, Any]:
    """`template`, `system` and `parameters` of a create request; empty where Ollama must go by the file alone."""
    found = TEMPLATES.get(template)
    if found is None:
        return {}
    try:
        modelfile = found.get_ollama_modelfile(AutoTokenizer.from_pretrained(folder))
    except ValueError:
        return {}
    words: dict[str, Any] = {"template": _TEMPLATE.findall(modelfile)[0]}
    if system := _SYSTEM.findall(modelfile):
        words["system"] = system[0]
    if stops := _STOP.findall(modelfile):
        words["parameters"] = {"stop": stops}
    return words
