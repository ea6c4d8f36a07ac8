"""What a model is shown beside texts: where the images of its rows lie, and which texts it would take for one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.training.stage_rows import Row, RowUnfit
from shared.datasets.pictured import IMAGE

MEDIA = frozenset({"<video>", "<audio>"})
"""Words that LLaMA-Factory takes for a place of something that no row has."""


@dataclass(frozen=True)
class Sight:
    """Of an attempt whose model takes images."""

    shelves: Mapping[str, Path] = field(default_factory=dict)
    """By data set: the folder of its images, each named after its hash."""
    marks: frozenset[str] = MEDIA
    """What no text may hold."""

    def shown(self, dataset: str, row: Row, taught: Row) -> Row:
        """What is taught of a row, and the paths of its images; RowUnfit when its texts do not fit them."""
        images = row.get("images", [])
        texts = [turn["content"] for turn in taught["messages"]]
        if sum(text.count(IMAGE) for text in texts) != len(images):
            raise RowUnfit(f"does not have one {IMAGE} in its messages for each image")
        if any(mark in text for mark in self.marks for text in texts):
            raise RowUnfit("holds a word that this model takes for a place in an image, or for a video or sound")
        return {**taught, "images": [str(self._image(dataset, one)) for one in images]}

    def _image(self, dataset: str, sha256: str) -> Path:
        shelf = self.shelves[dataset]
        path = shelf / sha256
        if path.parent != shelf or not path.is_file():
            raise ValueError("names an image that its data set does not hold")
        return path
