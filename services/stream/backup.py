"""`python -m services.stream.backup save|check|load FOLDER`: the event log's part of a backup."""

from pathlib import Path

from services.stream.settings import StreamSettings
from services.stream.wiring import MIGRATIONS
from shared.kit.backup import Keeper, read_part, run, write_part
from shared.kit.settings import load_settings

SERVICE = "stream"


def main() -> None:
    """Carry out one verb on the database that the settings name."""
    settings = load_settings(StreamSettings)
    keeper = Keeper(SERVICE, MIGRATIONS, settings.database)

    def save(folder: Path) -> None:
        write_part(folder, keeper.save(folder))

    def check(folder: Path) -> None:
        keeper.check(read_part(folder, SERVICE))

    def load(folder: Path) -> None:
        keeper.load(folder, read_part(folder, SERVICE))

    run({"save": save, "check": check, "load": load})


if __name__ == "__main__":
    main()
