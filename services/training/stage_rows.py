"""What each stage learns of a normalised row, as LLaMA-Factory reads it."""

from collections.abc import Callable
from typing import Any

from services.training.tool_use import ToolFault, check_call, complete_tools
from shared.contracts.training import Stage

Row = dict[str, Any]


class RowUnfit(Exception):
    """A row that this stage cannot train on."""


def sft_row(row: Row) -> Row:
    """An answered conversation, its tool calls told from its answers."""
    turns = _turns(row, "sft")
    spoken = _spoken(turns)
    if not spoken or len(spoken) % 2:
        raise RowUnfit("does not end with an answer")
    return {"messages": turns, "tools": _tools(row, turns)}


def preference_row(row: Row) -> Row:
    """A question with an answer that is wanted and one that is not."""
    if "chosen" not in row or "rejected" not in row:
        raise RowUnfit("has no chosen and rejected answers; this stage needs preferences")
    turns = _turns(row, "preferences")
    if len(_spoken(turns)) % 2 == 0:
        raise RowUnfit("does not end with a question")
    chosen, rejected = _turn(row["chosen"]), _turn(row["rejected"])
    if chosen == rejected:
        raise RowUnfit("has the same answer as chosen and as rejected")
    return {
        "messages": turns, "tools": _tools(row, [*turns, chosen, rejected]), "chosen": chosen, "rejected": rejected,
    }  # fmt: skip


def kto_row(row: Row) -> Row:
    """An answered conversation, and whether its last answer is wanted."""
    if not isinstance(row.get("label"), bool):
        raise RowUnfit("has no label; stage kto needs answers marked true or false")
    return {**sft_row(row), "label": row["label"]}


def ppo_row(row: Row) -> Row:
    """A question; the answer to it, of which rows of every form have one, is not read."""
    return sft_row({**row, "messages": [*(row.get("messages") or []), row["chosen"]]} if "chosen" in row else row)


def pt_row(row: Row) -> Row:
    """A text; a conversation is read as one."""
    text = row.get("text")
    if text is None:
        turns = [*row.get("messages", []), *([row["chosen"]] if "chosen" in row else [])]
        text = "\n".join(turn["content"] for turn in turns)
    if not text.strip():
        raise RowUnfit("has no text")
    return {"text": text}


ROW_OF_STAGE: dict[Stage, Callable[[Row], Row]] = {
    Stage.SFT: sft_row,
    Stage.PT: pt_row,
    Stage.DPO: preference_row,
    Stage.RM: preference_row,
    Stage.KTO: kto_row,
    Stage.PPO: ppo_row,
}


def _turn(message: Row) -> Row:
    return {"role": "tool_call" if message.get("tool_call") else message["role"], "content": message["content"]}


def _turns(row: Row, stage: str) -> list[Row]:
    messages = row.get("messages")
    if not messages:
        raise RowUnfit(f"has no messages; stage {stage} needs conversations")
    turns = [_turn(message) for message in messages]
    for index, turn in enumerate(_spoken(turns)):
        if turn["role"] not in (("user", "tool"), ("assistant", "tool_call"))[index % 2]:
            raise RowUnfit("does not alternate between user and assistant")
    return turns


def _spoken(turns: list[Row]) -> list[Row]:
    return turns[1:] if turns[0]["role"] == "system" else turns


def _tools(row: Row, turns: list[Row]) -> str:
    try:
        for turn in turns:
            if turn["role"] == "tool_call":
                check_call(turn["content"])
        return complete_tools(row["tools"]) if row.get("tools") else ""
    except ToolFault as fault:
        raise RowUnfit(str(fault)) from None
