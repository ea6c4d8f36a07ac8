"""Answers everybody at once: each round lets waiting calls join and gives every answer its next token."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from services.training.serving.answer import Answer, Refused
from services.training.serving.shelf import NoRoom, Served, Shelf
from shared.contracts.serving import EngineNews, Fault, Order, Saying, ServingCall
from shared.generation.decoding import Batch
from shared.kit.errors import ImtsError
from shared.worker.attempt import UserFault

_MOST_READ = 1 << 14
"""Tokens of prompts that are read in one pass: more would take memory that nobody counted."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How much is done at once."""

    most_rows: int
    most_tokens: int
    """Of an answer."""
    capacity: int
    """Bytes that weights and answers may take together."""


class Table:
    """Answers that one adapter, or a base alone, makes together."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.batch = Batch(served.base.model, served.tokenizer.pad_token_id)
        self.answers: list[Answer] = []
        self.newcomers: list[Answer] = []
        self._token_bytes = _token_bytes(served.base.model)

    def bytes_with(self, *more: Answer) -> int:
        """Memory that its keys and values may come to take."""
        lengths = [answer.length for answer in (*self.answers, *self.newcomers, *more)]
        return max(lengths, default=0) * len(lengths) * self._token_bytes

    def play(self) -> list[Saying]:
        """One token for every answer."""
        self.served.base.put_on(self.served.adapter)
        if self.answers:
            self.batch.step()
        while self.newcomers:
            group = _readable(self.newcomers)
            self.batch.join([answer.row for answer in group])
            self.answers += group
            del self.newcomers[: len(group)]
        said = [(answer, answer.hear()) for answer in self.answers]
        self.leave([answer for answer, saying in said if saying is not None and saying.is_last])
        return [saying for _, saying in said if saying is not None]

    def leave(self, gone: list[Answer]) -> None:
        """These are over."""
        if gone:
            self.batch.leave([answer.row for answer in gone])
            self.answers = [answer for answer in self.answers if answer not in gone]
            self.newcomers = [answer for answer in self.newcomers if answer not in gone]


class Rounds:
    """All calls that the engine has."""

    def __init__(
        self, shelf: Shelf, terms: Terms, tell: Callable[[EngineNews], None], now: Callable[[], float]
    ) -> None:
        self._shelf = shelf
        self._terms = terms
        self._tell = tell
        self._now = now
        self._waiting: deque[tuple[int, ServingCall]] = deque()
        self._tables: dict[tuple[int, str | None, int], Table] = {}

    @property
    def is_idle(self) -> bool:
        """Nobody waits for anything."""
        return not self._waiting and not self._tables

    def take(self, order: Order) -> None:
        """A call begins, or the caller of one has gone."""
        if order.call is not None:
            self._waiting.append((order.number, order.call))
            return
        self._waiting = deque(one for one in self._waiting if one[0] != order.number)
        for table in list(self._tables.values()):
            gone = [answer for answer in (*table.answers, *table.newcomers) if answer.number == order.number]
            table.leave(gone)
            self._settle(table, len(gone))

    def turn(self) -> None:
        """One round."""
        said = self._admit()
        for table in list(self._tables.values()):
            said += self._play(table)
        self._publish(said)

    def rest(self) -> None:
        """Nothing is asked: forget what is not needed any more."""
        self._shelf.drop_idle()
        self._publish([])

    def _publish(self, said: list[Saying]) -> None:
        changed = self._shelf.has_changed
        self._shelf.has_changed = False
        if said or changed:
            self._tell(EngineNews(sayings=said, loaded=self._shelf.listing() if changed else None))

    def _admit(self) -> list[Saying]:
        """First come, first served; who finds no room lets nobody pass."""
        refused: list[Saying] = []
        while self._waiting and self._rows < self._terms.most_rows:
            number, call = self._waiting[0]
            try:
                self._seat(number, call)
            except NoRoom:
                break
            except Refused as fault:
                refused.append(Saying(number=number, fault=fault.fault))
            except UserFault as fault:
                refused.append(Saying(number=number, fault=_fault("request", fault.reason.value, fault.message)))
            except ImtsError as fault:
                kind: Any = "not_now" if fault.status >= 500 else "request"
                refused.append(Saying(number=number, fault=_fault(kind, fault.code, fault.message)))
            except (RuntimeError, MemoryError):
                refused.append(Saying(number=number, fault=_OUT_OF_MEMORY))
            self._waiting.popleft()
        return refused

    @property
    def _rows(self) -> int:
        return sum(len(table.answers) + len(table.newcomers) for table in self._tables.values())

    def _seat(self, number: int, call: ServingCall) -> None:
        taken = sum(table.bytes_with() for table in self._tables.values())
        served = self._shelf.fetch(call.model, taken)
        key = (id(served.base), served.adapter, id(served.template))
        table = self._tables.get(key) or Table(served)
        answer = Answer(number, call, served, self._terms.most_tokens)
        try:
            self._shelf.make_room(taken - table.bytes_with() + table.bytes_with(answer), served.base, served.adapter)
        except NoRoom:
            if self._rows:
                raise
            raise Refused(_fault("request", "answer_too_long", "max_tokens: there is no memory for so long an answer; "
                                 "ask for less", "max_tokens")) from None  # fmt: skip
        self._tables[key] = table
        table.newcomers.append(answer)
        served.count(1, self._now())
        self._shelf.has_changed = True

    def _play(self, table: Table) -> list[Saying]:
        try:
            said = table.play()
        except (RuntimeError, MemoryError):
            # What is half done cannot be gone on with; the weights are as they were.
            everybody = [*table.answers, *table.newcomers]
            said = [Saying(number=answer.number, fault=_OUT_OF_MEMORY) for answer in everybody]
            table.answers, table.newcomers = [], []
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._settle(table, sum(saying.is_last for saying in said))
        return said

    def _settle(self, table: Table, gone: int) -> None:
        if gone:
            table.served.count(-gone, self._now())
            self._shelf.has_changed = True
        if not table.answers and not table.newcomers:
            self._tables = {key: one for key, one in self._tables.items() if one is not table}


def _fault(kind: Any, code: str, message: str, param: str = "model") -> Fault:
    return Fault(kind=kind, code=code, message=message, param=param if kind == "request" else None)


_OUT_OF_MEMORY = _fault("not_now", "out_of_memory", "the engine ran out of memory; ask again, or for a shorter answer")


def _readable(newcomers: list[Answer]) -> list[Answer]:
    """The first few, that can be read in one pass; at least one."""
    count, width = 0, 0
    for answer in newcomers:
        width = max(width, len(answer.row.prompt))
        if count and width * (count + 1) > _MOST_READ:
            break
        count += 1
    return newcomers[:count]


def _token_bytes(model: Any) -> int:
    """Keys and values of one token, in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or getattr(config, "num_attention_heads", 1)
    width = getattr(config, "head_dim", None) or config.hidden_size // getattr(config, "num_attention_heads", 1)
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)
