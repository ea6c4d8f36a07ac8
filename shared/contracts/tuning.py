"""Options of a training that only some stages or methods have."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.base import Contract, Int, Number
from shared.contracts.parallel import Parallel

ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""A module of the model as its architecture names it, such as `mlp`; `all` is every one."""


class PreferenceLoss(StrEnum):
    """What stage dpo minimises; `orpo` and `simpo` need no reference model."""

    SIGMOID = "sigmoid"
    HINGE = "hinge"
    IPO = "ipo"
    KTO_PAIR = "kto_pair"
    ORPO = "orpo"
    SIMPO = "simpo"


class Precision(StrEnum):
    """Number format of the computation; `auto` is bf16 on a GPU that has it, fp16 on one that has not, else fp32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class WeightOptions(Contract):
    """Which weights are trained, and how they begin."""

    lora_rank: Annotated[Int, Field(ge=1, le=1024)] = 16
    lora_alpha: Annotated[Int, Field(ge=1, le=4096)] | None = None
    """Twice the rank when absent."""
    lora_dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    use_rslora: bool = False
    """Scale by alpha / √rank instead of alpha / rank, which keeps high ranks learning."""
    use_dora: bool = False
    """Learn magnitude and direction apart: closer to full fine-tuning, slower."""
    pissa_init: bool = False
    """Begin at the weights' principal components; what is published is a plain adapter of twice the rank."""
    loraplus_lr_ratio: Annotated[Number, Field(ge=1, le=1000)] | None = None
    """Learning rate of the B matrices over that of the A matrices (LoRA+); 16 is usual."""
    quantization_bit: Literal[4, 8] | None = None
    """Hold the base in so many bits a weight while the adapter learns (QLoRA): less memory, slower steps."""
    oft_rank: Annotated[Int, Field(ge=0, le=4096)] = 0
    """Blocks of the orthogonal matrix; 0 leaves it to `oftBlockSize`."""
    oft_block_size: Annotated[Int, Field(ge=0, le=4096)] = 32
    freeze_trainable_layers: Annotated[Int, Field(ge=-1024, le=1024)] = 2
    """The last n layers are trained; the first n when negative."""
    freeze_trainable_modules: Annotated[list[ModuleName], Field(min_length=1, max_length=64)] = ["all"]
    freeze_extra_modules: Annotated[list[ModuleName], Field(max_length=64)] = []
    """Modules outside the layers that are trained too, such as `embed_tokens`."""


class ObjectiveOptions(Contract):
    """What stages dpo and kto learn from preferences."""

    pref_loss: PreferenceLoss = PreferenceLoss.SIGMOID
    pref_beta: Annotated[Number, Field(gt=0, le=100)] = 0.1
    """How hard the model is held to its reference."""
    pref_ftx: Annotated[Number, Field(ge=0, le=100)] = 0.0
    """Weight of the plain loss on the chosen answers."""
    dpo_label_smoothing: Annotated[Number, Field(ge=0, lt=0.5)] = 0.0
    """Share of the pairs taken to be labelled the wrong way round; `prefLoss` sigmoid only."""
    simpo_gamma: Annotated[Number, Field(ge=0, le=100)] = 0.5
    kto_chosen_weight: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    kto_rejected_weight: Annotated[Number, Field(gt=0, le=1000)] = 1.0


class RowOptions(Contract):
    """How rows become batches, and what of them is learnt."""

    packing: bool | None = None
    """Fill each block of `cutoffLen` tokens with several rows; when absent, only stage pt does."""
    neat_packing: bool = False
    """Pack, and keep rows of one block from seeing each other."""
    train_on_prompt: bool = False
    """Learn the questions too."""
    mask_history: bool = False
    """Learn the last answer of a conversation only."""


class ImageOptions(Contract):
    """How a model that takes images learns from them; stage sft only."""

    image_max_pixels: Annotated[Int, Field(ge=1024, le=33_554_432)] | None = None
    """Larger images are made smaller; 589,824 (768 × 768) when absent."""
    image_min_pixels: Annotated[Int, Field(ge=1, le=33_554_432)] | None = None
    """Smaller images are made larger; 1,024 (32 × 32) when absent."""
    freeze_vision_tower: bool | None = None
    """Leave what looks at images as it is; true when absent."""
    freeze_multi_modal_projector: bool | None = None
    """Leave what turns images into the language model's terms as it is; true when absent. `lora` never changes it."""
    freeze_language_model: bool | None = None
    """Leave the language model as it is; false when absent."""


class EngineOptions(Contract):
    """How the computation is done."""

    precision: Precision = Precision.AUTO
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    """Compute activations again instead of keeping them; `auto` leaves it out for small models."""
    parallel: Parallel | None = None
    """Processes that share each step's rows; `batchSize` x `gradientAccumulationSteps` stays the global batch."""
    early_stopping_evaluations: Annotated[Int, Field(ge=1, le=1000)] | None = None
    """End after so many evaluations in a row without a lower validation loss."""
