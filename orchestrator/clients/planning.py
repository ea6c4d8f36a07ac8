"""Training services as planners."""

from shared.contracts.plans import PlanCall, TrainingPlan
from shared.kit.peer import PeerClient


class HttpPlanning:
    """`PlanningPeer` over HTTP; its client is its own, as a plan takes longer than any other question."""

    def __init__(self, client: PeerClient) -> None:
        self._client = client

    async def plan(self, call: PlanCall) -> TrainingPlan:
        return await self._client.call("POST", "/plans", TrainingPlan, body=call)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()
