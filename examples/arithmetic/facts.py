"""The facts the arithmetic example asks about and the English and Chinese sentences that ask for them."""

from collections.abc import Iterator
from dataclasses import dataclass

ENGLISH_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CHINESE_DAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


@dataclass(frozen=True)
class Row:
    """One training row in alpaca form."""

    instruction: str
    input: str
    output: str


@dataclass(frozen=True)
class Phrasing:
    """One way of asking; `input` stays empty unless the sentence points at a separate operand field."""

    instruction: str
    input: str = ""

    def ask(self, answer: str, **operands: object) -> Row:
        return Row(self.instruction.format(**operands), self.input.format(**operands), answer)


ADDITION = (
    Phrasing("What is {a} + {b}?"),
    Phrasing("Add {a} and {b}."),
    Phrasing("{a} plus {b} equals what?"),
    Phrasing("Work out the sum.", "{a} + {b}"),
    Phrasing("{a} + {b} 等于多少？"),
    Phrasing("请计算 {a} 加 {b}。"),
    Phrasing("{a} 与 {b} 的和是多少？"),
    Phrasing("求下面两个数的和。", "{a} + {b}"),
)
SUBTRACTION = (
    Phrasing("What is {a} - {b}?"),
    Phrasing("Take {b} away from {a}."),
    Phrasing("{a} minus {b} equals what?"),
    Phrasing("Work out the difference.", "{a} - {b}"),
    Phrasing("{a} - {b} 等于多少？"),
    Phrasing("请计算 {a} 减 {b}。"),
    Phrasing("{a} 比 {b} 多多少？"),
    Phrasing("求下面两个数的差。", "{a} - {b}"),
)
WEEKDAY_ENGLISH = (
    Phrasing("Which day is {n} days after {day}?"),
    Phrasing("Today is {day}. What day is it in {n} days?"),
    Phrasing("Count {n} days on from {day}."),
    Phrasing("Move the day forward by {n}.", "{day}"),
)
WEEKDAY_CHINESE = (
    Phrasing("{day}之后 {n} 天是星期几？"),
    Phrasing("今天是{day}，过 {n} 天是星期几？"),
    Phrasing("从{day}往后数 {n} 天。"),
    Phrasing("把这一天往后推 {n} 天。", "{day}"),
)
CONVERSION = (
    Phrasing("How many {small} are there in {n} {large}?"),
    Phrasing("Convert {n} {large} to {small}."),
    Phrasing("{n} {large} is how many {small}?"),
    Phrasing("Express this in {small}.", "{n} {large}"),
    Phrasing("{n} {large_zh}等于多少{small_zh}？"),
    Phrasing("把 {n} {large_zh}换算成{small_zh}。"),
    Phrasing("{n} {large_zh}是几{small_zh}？"),
    Phrasing("用{small_zh}表示。", "{n} {large_zh}"),
)
UNITS = (
    (100, {"large": "metres", "small": "centimetres", "large_zh": "米", "small_zh": "厘米"}),
    (1000, {"large": "kilograms", "small": "grams", "large_zh": "千克", "small_zh": "克"}),
    (7, {"large": "weeks", "small": "days", "large_zh": "周", "small_zh": "天"}),
)


def ask_every_fact() -> Iterator[list[Row]]:
    """Yield, for each fact, its question in every phrasing; a weekday is answered in the language asked."""
    yield from ask_sums_and_differences()
    yield from ask_weekdays()
    for factor, names in UNITS:
        for n in range(2, 10):
            yield [phrasing.ask(str(n * factor), n=n, **names) for phrasing in CONVERSION]


def ask_sums_and_differences() -> Iterator[list[Row]]:
    for a in range(10):
        for b in range(10):
            yield [phrasing.ask(str(a + b), a=a, b=b) for phrasing in ADDITION]
            if a >= b:
                yield [phrasing.ask(str(a - b), a=a, b=b) for phrasing in SUBTRACTION]


def ask_weekdays() -> Iterator[list[Row]]:
    for start in range(7):
        for n in range(2, 7):
            english, chinese = ENGLISH_DAYS[(start + n) % 7], CHINESE_DAYS[(start + n) % 7]
            yield [
                *(phrasing.ask(english, day=ENGLISH_DAYS[start], n=n) for phrasing in WEEKDAY_ENGLISH),
                *(phrasing.ask(chinese, day=CHINESE_DAYS[start], n=n) for phrasing in WEEKDAY_CHINESE),
            ]
