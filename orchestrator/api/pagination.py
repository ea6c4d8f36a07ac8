"""Pages by cursor: the last id of a page is where the next one begins."""

from typing import Annotated

from fastapi import Depends, Query

from shared.contracts.base import Text
from shared.contracts.log_lines import LONGEST_SEARCH, LineQuery, LogLevel

JobCursor = Annotated[str | None, Query(pattern=r"^job-[0-9a-z]{26}$", description="`nextCursor` of the page before")]
PageSize = Annotated[int, Query(ge=1, le=200)]
AfterSeq = Annotated[int, Query(ge=0, le=2**53 - 1, description="number of the last event already seen")]
EventLimit = Annotated[int, Query(ge=1, le=1000)]
LogOffset = Annotated[int, Query(ge=0, le=2**53 - 1, description="`nextOffset` of the slice before")]
LogLimit = Annotated[int, Query(ge=1, le=1 << 20)]
AsSuggested = Annotated[bool, Query(description="with the changes in `failure.suggestion.patch`")]
AttemptNumber = Annotated[int | None, Query(ge=1, le=999_999)]


def _line_query(
    offset: Annotated[int, Query(ge=0, le=2**53 - 1, description="`nextOffset` of the answer before")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    level: Annotated[LogLevel, Query(description="lines that matter at least so much")] = LogLevel.DEBUG,
    search: Annotated[Text, Query(max_length=LONGEST_SEARCH, description="words in the line, in any case")] = "",
) -> LineQuery:
    return LineQuery(offset=offset, limit=limit, level=level, search=search)


LineQueryParameters = Annotated[LineQuery, Depends(_line_query)]
