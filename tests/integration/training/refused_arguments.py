"""What of LLaMA-Factory no job can set, and why; what can be set is in `services.training.arguments`."""

REFUSED = {
    "runs code that a model or a path brings": """
        trust_remote_code train_from_scratch tokenized_path hyper_parallel_args parallelism_config accelerator_config
        vllm_config sglang_config generation_config logging_dir overwrite_output_dir profiler_output_dir media_dir
        kt_weight_path kt_expert_checkpoint_path offload_folder adapter_folder export_dir
        new_special_tokens_config export_quantization_dataset liger_kernel_config
    """,
    "speaks to a hub or to somebody else's service": """
        model_revision hf_hub_token ms_hub_token om_hub_token push_to_hub hub_token hub_private_repo hub_model_id
        hub_strategy hub_always_push hub_revision export_hub_model_id run_name project trackio_space_id
        trackio_bucket_id trackio_static_space_id use_swanlab swanlab_project swanlab_workspace swanlab_run_name
        swanlab_mode swanlab_api_key swanlab_logdir swanlab_lark_webhook_url swanlab_lark_secret
        reward_model_quantization_bit
    """,
    "belongs to inference, export or evaluation, which are jobs of their own": """
        infer_backend use_kv_cache infer_dtype vllm_maxlen vllm_gpu_util vllm_enforce_eager vllm_max_lora_rank
        sglang_maxlen sglang_mem_fraction sglang_tp_size sglang_lora_backend export_size export_device
        export_quantization_bit export_quantization_nsamples export_quantization_maxlen export_legacy_format
        do_eval do_predict predict_with_generate generation_max_length generation_num_beams eval_num_beams
        num_beams max_length length_penalty skip_special_tokens sortish_sampler use_cache
    """,
    "the service does it itself, row by row and without holding rows in memory: mixing, splitting":
        "mix_strategy interleave_probs val_size streaming buffer_size",
    "the service does it itself: checkpoints, logs, stopping, devices": """
        save_only_model save_strategy save_on_each_node save_total_limit enable_jit_checkpoint load_best_model_at_end
        metric_for_best_model greater_is_better ignore_data_skip restore_callback_states_from_checkpoint
        logging_strategy logging_first_step log_on_each_node log_level log_level_replica early_stopping_steps
        auto_find_batch_size use_cpu full_determinism data_seed gradient_checkpointing warmup_ratio debug
        skip_memory_metrics remove_unused_columns label_names pissa_convert pissa_iter include_for_metrics
        include_effective_tokens_per_second eval_on_start eval_delay local_rank data_shared_file_system
    """,
    "changes vocabulary or tokenizer, which come with the model": """
        use_fast_tokenizer resize_vocab split_special_tokens add_tokens add_special_tokens init_special_tokens
        tool_format default_system enable_thinking preserve_thinking ignore_pad_token_for_loss
    """,
    "needs several machines, a GPU or a library that the lock does not have": """
        quantization_method quantization_type double_quantization quantization_device_map
        use_unsloth use_unsloth_gc enable_liger_kernel use_liger_kernel use_kt
        kt_use_lora_experts kt_lora_expert_num kt_lora_expert_intermediate_size use_v1_kernels mixture_of_depths
        use_galore galore_target galore_rank galore_update_interval galore_scale galore_proj_type galore_layerwise
        use_apollo apollo_target apollo_rank apollo_update_interval apollo_scale apollo_proj apollo_proj_type
        apollo_scale_type apollo_layerwise apollo_scale_front use_badam badam_mode badam_start_block badam_switch_mode
        badam_switch_interval badam_update_ratio badam_mask_mode badam_verbose use_adam_mini use_mca
        use_hyper_parallel use_muon ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers
        ddp_static_graph ray_num_workers ray_init_kwargs master_addr master_port fp8
        fp8_backend fp8_enable_fsdp_float8_all_gather torch_compile torch_compile_backend torch_compile_mode tf32
        bf16_full_eval fp16_full_eval pure_bf16 flash_attn
    """,
    "not offered yet: video and sound": """
        image_do_pan_and_scan crop_to_patches video_max_pixels video_min_pixels
        video_fps video_maxlen use_audio_in_video audio_sampling_rate
        eval_on_each_dataset max_samples create_new_adapter
    """,
    "not offered yet: tuning that few need": """
        low_cpu_mem_usage rope_scaling shift_attn moe_aux_loss_coef use_reentrant_gc upcast_layernorm
        upcast_lmhead_output print_param_status preprocessing_batch_size preprocessing_num_workers
        lr_scheduler_kwargs optim optim_args adam_beta1 adam_beta2 adam_epsilon optim_target_modules
        average_tokens_across_devices label_smoothing_factor gradient_checkpointing_kwargs neftune_noise_alpha
        torch_empty_cache_steps prediction_loss_only eval_do_concat_batches eval_use_gather_object
        eval_accumulation_steps batch_eval_metrics dataloader_drop_last dataloader_num_workers
        dataloader_persistent_workers dataloader_prefetch_factor train_sampling_strategy length_column_name
        enable_torch_profiler profiler_wait_steps profiler_warmup_steps profiler_active_steps profiler_repeat
        profiler_record_shapes profiler_profile_memory profiler_with_stack profile_modules additional_target
        module_dropout loraplus_lr_embedding pref_bco_weight ld_alpha use_llama_pro use_dft_loss use_asft_loss
        asft_alpha use_eaft_loss eaft_alpha compute_accuracy disable_shuffling
    """,
}  # fmt: skip


def refused() -> set[str]:
    """All their names."""
    return {name for names in REFUSED.values() for name in names.split()}
