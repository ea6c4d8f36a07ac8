"""Who holds an API key, as the orchestrator tells the other services."""

from shared.contracts.base import WireModel


class Identity(WireModel):
    """The orchestrator's answer about a key."""

    name: str
    is_admin: bool = False
