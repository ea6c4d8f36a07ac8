"""Whether an attempt's model can be shown the images that its data sets have."""

from llamafactory.data.template import TEMPLATES

from services.training.sight import MEDIA, Sight
from services.training.weights import weights_of
from shared.contracts.failures import Reason
from shared.contracts.work import DatasetInput
from shared.datasets.pictured import IMAGE
from shared.worker.attempt import Attempt, UserFault


def reference_of(dataset: DatasetInput) -> str:
    """How rows are said to be from it."""
    return f"{dataset.name}@{dataset.version}"


def sight_of(attempt: Attempt) -> Sight | None:
    """None for a model that takes no images; UserFault when there are some to be shown to it."""
    base = attempt.spec.models["base"]
    pictured = {reference_of(found): found.images for found in attempt.spec.datasets.values() if found.images}
    takes_images = weights_of(attempt.store.materialise(base.base)).takes_images
    template = TEMPLATES.get(base.template)
    mark = None if template is None else template.mm_plugin.image_token
    if takes_images and mark is not None:
        shelves = {name: attempt.store.materialise(tree) for name, tree in pictured.items()}
        others = {mark, template.mm_plugin.video_token} - {None, IMAGE}
        return Sight(shelves, MEDIA | others)
    if pictured and not takes_images:
        raise UserFault(
            Reason.OPTION_UNSUPPORTED,
            f"data set {min(pictured)} has images and model {base.name} takes none: name a model that does",
        )
    if pictured:
        raise UserFault(
            Reason.UNKNOWN_TEMPLATE, f"template {base.template} has no place for images, which data set "
            f"{min(pictured)} has: import model {base.name} again with the template of its family, such as qwen2_vl",
        )  # fmt: skip
    return None
