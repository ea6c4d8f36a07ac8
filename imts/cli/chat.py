"""`imts chat`: a question to a model of the registry, its answer as it is written."""

import sys
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import harmless


def chat(
    model: Annotated[str, typer.Argument(help="name, name@2 or an id.")],
    question: Annotated[str, typer.Argument(help="What to say; read from standard input when it is -.")] = "-",
    system: Annotated[str | None, typer.Option(help="What the model is told before.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 takes the likeliest words.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same answer.")] = None,
) -> None:
    """Ask a model of the registry, and see its answer as it is written."""
    asked = sys.stdin.read().strip() if question == "-" else question
    options = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    with connect() as client:
        for piece in client.chat(model, asked, system=system, **given):
            print(harmless(piece), end="", flush=True)
    print()
