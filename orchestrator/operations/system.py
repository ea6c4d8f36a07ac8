"""The mesh as the orchestrator sees it."""

import asyncio

from orchestrator.domain.peers import Peers
from shared.contracts.jobs import PeerState, SystemView


async def look_around(own: PeerState, peers: Peers) -> SystemView:
    """Every service's address and state, asked at the same time."""
    others = await asyncio.gather(*(peer.state() for peer in peers.all()))
    return SystemView(version=own.version or "", services=[own, *others])
