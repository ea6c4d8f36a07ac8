"""What LLaMA-Factory calls the options of stages and methods; pure."""

from services.training.arguments import EngineArguments
from shared.contracts.training import FinetuningType, Stage, TrainingSpec
from shared.contracts.tuning import PreferenceLoss

_WITHOUT_REFERENCE = frozenset({PreferenceLoss.ORPO, PreferenceLoss.SIMPO})


def needs_reference(spec: TrainingSpec) -> bool:
    """Whether the model is compared with itself as it was."""
    return spec.stage in {Stage.KTO, Stage.PPO} or (
        spec.stage is Stage.DPO and spec.pref_loss not in _WITHOUT_REFERENCE
    )


def weight_arguments(spec: TrainingSpec) -> EngineArguments:
    """Which weights the method trains."""
    match spec.finetuning_type:
        case FinetuningType.LORA:
            return _lora_arguments(spec)
        case FinetuningType.OFT:
            # The two exclude each other; the rank wins where it is given.
            size = 0 if spec.oft_rank else spec.oft_block_size
            return EngineArguments(oft_target="all", oft_rank=spec.oft_rank, oft_block_size=size)
        case FinetuningType.FREEZE:
            found = EngineArguments(
                freeze_trainable_layers=spec.freeze_trainable_layers,
                freeze_trainable_modules=",".join(spec.freeze_trainable_modules),
            )
            if spec.freeze_extra_modules:
                found["freeze_extra_modules"] = ",".join(spec.freeze_extra_modules)
            return found
        case FinetuningType.FULL:
            return EngineArguments()


def _lora_arguments(spec: TrainingSpec) -> EngineArguments:
    found = EngineArguments(
        lora_target="all",
        lora_rank=spec.lora_rank,
        lora_alpha=spec.lora_alpha or 2 * spec.lora_rank,
        lora_dropout=spec.lora_dropout,
        use_rslora=spec.use_rslora,
        use_dora=spec.use_dora,
        pissa_init=spec.pissa_init,
    )
    if spec.loraplus_lr_ratio is not None:
        found["loraplus_lr_ratio"] = spec.loraplus_lr_ratio
    if spec.quantization_bit is not None:
        found["quantization_bit"] = spec.quantization_bit
    return found


def objective_arguments(spec: TrainingSpec) -> EngineArguments:
    """What is minimised."""
    match spec.stage:
        case Stage.DPO:
            return EngineArguments(
                pref_loss=spec.pref_loss.value,
                pref_beta=spec.pref_beta,
                pref_ftx=spec.pref_ftx,
                dpo_label_smoothing=spec.dpo_label_smoothing,
                simpo_gamma=spec.simpo_gamma,
            )
        case Stage.KTO:
            return EngineArguments(
                pref_beta=spec.pref_beta,
                pref_ftx=spec.pref_ftx,
                kto_chosen_weight=spec.kto_chosen_weight,
                kto_rejected_weight=spec.kto_rejected_weight,
            )
        case Stage.PPO:
            return EngineArguments(
                ppo_buffer_size=spec.ppo_buffer_size,
                ppo_epochs=spec.ppo_epochs,
                ppo_score_norm=spec.ppo_score_norm,
                ppo_target=spec.ppo_target,
                ppo_whiten_rewards=spec.ppo_whiten_rewards,
                max_new_tokens=spec.max_new_tokens,
                do_sample=spec.do_sample,
                temperature=spec.temperature,
                top_p=spec.top_p,
                top_k=spec.top_k,
                repetition_penalty=spec.repetition_penalty,
            )
        case Stage.SFT | Stage.PT | Stage.RM:
            return EngineArguments()


def row_arguments(spec: TrainingSpec) -> EngineArguments:
    """How rows become batches; what is not said is left to the stage."""
    found = EngineArguments()
    if spec.packing is not None or spec.neat_packing:
        found["packing"] = spec.neat_packing or bool(spec.packing)
    if spec.stage is Stage.SFT:
        found |= EngineArguments(
            neat_packing=spec.neat_packing, train_on_prompt=spec.train_on_prompt, mask_history=spec.mask_history
        )
    return found


def image_arguments(spec: TrainingSpec) -> EngineArguments:
    """How images are prepared, and what of a model that takes them is left alone; what is not said is not told."""
    found = EngineArguments()
    if spec.image_max_pixels is not None:
        found["image_max_pixels"] = spec.image_max_pixels
    if spec.image_min_pixels is not None:
        found["image_min_pixels"] = spec.image_min_pixels
    if spec.freeze_vision_tower is not None:
        found["freeze_vision_tower"] = spec.freeze_vision_tower
    if spec.freeze_multi_modal_projector is not None:
        found["freeze_multi_modal_projector"] = spec.freeze_multi_modal_projector
    if spec.freeze_language_model is not None:
        found["freeze_language_model"] = spec.freeze_language_model
    return found
