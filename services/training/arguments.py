"""The allow-list: every argument of LLaMA-Factory's `run_exp` that this service ever sets."""

from typing import Any, Literal, TypedDict


class EngineArguments(TypedDict, total=False):
    """By LLaMA-Factory's names; whatever is not here cannot be set."""

    model_name_or_path: str
    adapter_name_or_path: str
    stage: str
    do_train: bool
    finetuning_type: str
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    lora_target: str
    use_rslora: bool
    use_dora: bool
    pissa_init: bool
    loraplus_lr_ratio: float
    quantization_bit: int
    ref_model_quantization_bit: int
    oft_rank: int
    oft_block_size: int
    oft_target: str
    freeze_trainable_layers: int
    freeze_trainable_modules: str
    freeze_extra_modules: str
    pref_loss: str
    pref_beta: float
    pref_ftx: float
    dpo_label_smoothing: float
    simpo_gamma: float
    kto_chosen_weight: float
    kto_rejected_weight: float
    reward_model: str
    reward_model_type: Literal["lora", "full"]
    reward_model_adapters: str
    ppo_buffer_size: int
    ppo_epochs: int
    ppo_score_norm: bool
    ppo_target: float
    ppo_whiten_rewards: bool
    max_new_tokens: int
    do_sample: bool
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    ref_model: str
    ref_model_adapters: str
    dataset: str
    eval_dataset: str
    dataset_dir: str
    template: str
    cutoff_len: int
    packing: bool
    neat_packing: bool
    train_on_prompt: bool
    mask_history: bool
    image_max_pixels: int
    image_min_pixels: int
    freeze_vision_tower: bool
    freeze_multi_modal_projector: bool
    freeze_language_model: bool
    overwrite_cache: bool
    cache_dir: str
    output_dir: str
    resume_from_checkpoint: str
    per_device_train_batch_size: int
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    disable_gradient_checkpointing: bool
    learning_rate: float
    lr_scheduler_type: str
    warmup_steps: float
    weight_decay: float
    max_grad_norm: float
    num_train_epochs: float
    max_steps: int
    seed: int
    bf16: bool
    fp16: bool
    logging_steps: int
    logging_nan_inf_filter: bool
    include_num_input_tokens_seen: Literal["non_padding", "all"]
    save_steps: int
    eval_strategy: str
    eval_steps: float
    dataloader_pin_memory: bool
    ddp_backend: str
    ddp_timeout: int
    deepspeed: dict[str, Any]
    fsdp: str
    fsdp_config: dict[str, Any]
    report_to: str
    disable_tqdm: bool
    plot_loss: bool
