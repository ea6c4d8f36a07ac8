"""What can be wrong with an uploaded file, said with the row's number and never with its content."""

from shared.contracts.base import JsonObject
from shared.kit.errors import ImtsError, InvalidRequest, TooLarge

PARAM = "file"


class RowFault(Exception):
    """One row cannot be accepted; the message says why and what would do."""


class RowTooLarge(RowFault):
    """One row is larger than a row may be."""


def unreadable(message: str, code: str = "invalid_dataset") -> InvalidRequest:
    """The file as a whole cannot be accepted."""
    return InvalidRequest(message, param=PARAM, code=code)


def too_large(message: str) -> TooLarge:
    """The file exceeds a bound."""
    return TooLarge(message, param=PARAM)


def at_row(number: int, fault: RowFault) -> ImtsError:
    """The same fault, with the number of its row."""
    make = too_large if isinstance(fault, RowTooLarge) else unreadable
    return make(f"row {number}: {fault}")


def bad_rows(faults: list[tuple[int, RowFault]]) -> InvalidRequest:
    """Several bad rows: the first is the message, all are in `details`."""
    number, fault = faults[0]
    errors: list[JsonObject] = [{"row": row, "message": str(found)} for row, found in faults]
    return InvalidRequest(
        f"row {number}: {fault}", param=PARAM, code="invalid_dataset",
        details={"errors": [dict(error) for error in errors]} if len(faults) > 1 else None,
    )  # fmt: skip
