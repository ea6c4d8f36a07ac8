"""Which tests run beside each other: files do, tests of one file do not, and only one whole mesh is up at a time."""

from xdist.scheduler import LoadScopeScheduling

WHOLE_MESHES = ("tests/e2e/", "tests/chaos/mesh/", "tests/chaos/test_kills.py")
"""Each starts ten processes and real engines: two of them at once would measure the machine's patience."""


def lane_of(test: str) -> str:
    """The lane of a test, by its id."""
    path = test.partition("::")[0]
    return "whole meshes" if path.startswith(WHOLE_MESHES) else path


class LanesScheduling(LoadScopeScheduling):
    """Gives a worker that is free the next lane, in the order of the folders: the long ones come first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)
