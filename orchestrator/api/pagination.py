"""Pages by cursor: the last id of a page is where the next one begins."""

from typing import Annotated

from fastapi import Query

JobCursor = Annotated[str | None, Query(pattern=r"^job-[0-9a-z]{26}$", description="`nextCursor` of the page before")]
PageSize = Annotated[int, Query(ge=1, le=200)]
AfterSeq = Annotated[int, Query(ge=0, le=2**53 - 1, description="number of the last event already seen")]
EventLimit = Annotated[int, Query(ge=1, le=1000)]
LogOffset = Annotated[int, Query(ge=0, le=2**53 - 1, description="`nextOffset` of the slice before")]
LogLimit = Annotated[int, Query(ge=1, le=1 << 20)]
AsSuggested = Annotated[bool, Query(description="with the changes in `failure.suggestion.patch`")]
AttemptNumber = Annotated[int | None, Query(ge=1, le=999_999)]
