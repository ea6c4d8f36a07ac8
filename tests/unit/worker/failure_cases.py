"""What dead engines leave: the ends of their output as the libraries print them, and how the processes ended."""

from shared.worker.failures.case import Remains

GIB = 2**30
CODE_1 = Remains(code=1)


def traceback(last: str, where: str = "/srv/venv/lib/python3.11/site-packages/transformers/trainer.py") -> str:
    """A traceback as Python prints it."""
    frame = f'  File "{where}", line 1327, in train\n    inner_training_loop(args)\n'
    return f"Traceback (most recent call last):\n{frame}{last}\n"


def caused(first: str, last: str) -> str:
    """One exception that another one caused."""
    return (
        traceback(first)
        + "\nThe above exception was the direct cause of the following exception:\n\n"
        + traceback(last)
    )


CUDA_OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB "
    "of which 1.19 GiB is free. {others}Including non-PyTorch memory, this process has 77.95 GiB memory in use. Of the "
    "allocated memory 76.02 GiB is allocated by PyTorch, and 1.10 GiB is reserved by PyTorch but unallocated."
)
RANK_0_OOM = "".join(f"[rank0]: {line}\n" for line in traceback(CUDA_OOM.format(others="")).splitlines()) + traceback(
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
)
SEGFAULT = (
    "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f3c (most recent call first):\n"
    '  File "/srv/venv/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 125 in forward\n'
)
NCCL_ABORT = (
    "[rank1]:[E1120 21:14:03 ProcessGroupNCCL.cpp:632] [Rank 1] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=88, OpType=ALLREDUCE, NumelIn=1048576, Timeout(ms)=600000) ran for 600013 ms.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
    "  what():  [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=88, OpType=ALLREDUCE)\n"
)
ASSERT = (
    "/pytorch/aten/src/ATen/native/cuda/Indexing.cu:1553: indexSelectLargeIndex: block: [12,0,0], thread: [96,0,0] "
    "Assertion `srcIndex < srcSelectDimSize` failed.\n"
)
SHM = "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).\n"

CASES: list[tuple[str, str, Remains]] = [
    # The GPU
    ("out_of_memory_gpu", traceback(CUDA_OOM.format(others="")), CODE_1),
    ("out_of_memory_gpu", traceback("RuntimeError: CUDA error: out of memory"), CODE_1),
    ("out_of_memory_gpu", traceback("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
     CODE_1),
    ("out_of_memory_gpu", traceback("RuntimeError: MPS backend out of memory (MPS allocated: 8.9 GB)"), CODE_1),
    ("out_of_memory_gpu", RANK_0_OOM, CODE_1),
    ("gpu_memory_taken", traceback(CUDA_OOM.format(others="Process 4242 has 60.00 GiB memory in use. ")), CODE_1),
    ("out_of_memory_gpu", traceback(CUDA_OOM.format(others="Process 4242 has 0.41 GiB memory in use. ")), CODE_1),
    ("gpu_memory_taken", traceback("RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
     CODE_1),
    ("device_missing", traceback("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an "
                                 "NVIDIA GPU and installed a driver from its maker"), CODE_1),
    ("device_missing", traceback("RuntimeError: No CUDA GPUs are available"), CODE_1),
    ("device_unsupported", traceback("RuntimeError: CUDA error: no kernel image is available for execution on the "
                                     "device"), CODE_1),
    ("device_unsupported", traceback("ValueError: Your setup doesn't support bf16/gpu."), CODE_1),
    ("device_lost", traceback("RuntimeError: CUDA error: uncorrectable ECC error encountered"), CODE_1),
    ("device_lost", traceback("RuntimeError: CUDA error: unspecified launch failure"), CODE_1),
    ("cuda_error", traceback("RuntimeError: CUDA error: an illegal memory access was encountered"), CODE_1),
    ("cuda_error", "terminate called after throwing an instance of 'c10::AcceleratorError'\n"
                   "  what():  CUDA error: an illegal memory access was encountered\n", Remains(signal=6)),
    ("token_out_of_range", ASSERT + traceback("RuntimeError: CUDA error: device-side assert triggered"), CODE_1),
    ("token_out_of_range", traceback("IndexError: index out of range in self"), CODE_1),
    ("distributed_failed", NCCL_ABORT, Remains(signal=6)),
    ("distributed_failed", traceback("RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] "
                                     "Connection closed by peer [127.0.0.1]:41033"), CODE_1),
    ("distributed_failed", traceback("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
                                     "====\nservices.training.engine FAILED"), CODE_1),
    # Memory of the machine
    ("out_of_memory_host", "", Remains(signal=9, oom_kills=1, peak_memory_bytes=3 * GIB)),
    ("out_of_memory_host", "", Remains(signal=9, peak_memory_bytes=95 * GIB, memory_limit_bytes=100 * GIB)),
    ("out_of_memory_host", "", Remains(code=137, oom_kills=2)),
    ("out_of_memory_host", traceback("MemoryError"), CODE_1),
    ("out_of_memory_host", traceback("RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: "
                                     "can't allocate memory: you tried to allocate 68719476736 bytes. Error code 12 "
                                     "(Cannot allocate memory)"), CODE_1),
    ("out_of_memory_host", traceback("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 40.0 GiB for an "
                                     "array with shape (5368709120,) and data type float64"), CODE_1),
    ("out_of_memory_host", traceback("ImportError: torch/_C.cpython-311-x86_64-linux-gnu.so: failed to map segment "
                                     "from shared object"), CODE_1),
    ("bad_installation", traceback("ImportError: torch/_C.cpython-311-x86_64-linux-gnu.so: failed to map segment "
                                   "from shared object: Operation not permitted"), CODE_1),
    ("out_of_memory_host", "terminate called after throwing an instance of 'std::bad_alloc'\n"
                           "  what():  std::bad_alloc\n", Remains(signal=6)),
    ("out_of_memory_host", traceback("RuntimeError: DataLoader worker (pid 3181) is killed by signal: Killed. "),
     Remains(code=1, oom_kills=1)),
    ("out_of_memory_host", "preparing data\n", Remains(code=1, oom_kills=1)),
    ("shared_memory_full", SHM, Remains(signal=7)),
    ("shared_memory_full", traceback("RuntimeError: unable to write to file </torch_812_2271_3>: No space left on "
                                     "device (28)"), CODE_1),
    # Disks, files, processes
    ("disk_full", traceback("OSError: [Errno 28] No space left on device"), CODE_1),
    ("disk_full", traceback("OSError: [Errno 122] Disk quota exceeded: '/srv/imts/jobs/job-1/work/a.pt'"), CODE_1),
    ("disk_full", traceback("safetensors_rust.SafetensorError: Error while serializing: I/O error: File too large "
                            "(os error 27)"), CODE_1),
    ("disk_full", traceback("RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 1024 vs 918"),
     CODE_1),
    ("disk_full", caused("RuntimeError: PytorchStreamWriter failed writing file data/7: file write failed",
                         "RuntimeError: could not save the optimizer"), CODE_1),
    ("disk_full", "", Remains(signal=25)),
    ("too_many_open_files", traceback("OSError: [Errno 24] Too many open files: '/srv/imts/cache/a.arrow'"), CODE_1),
    ("too_many_open_files", traceback("RuntimeError: Too many open files. Communication with the workers is no longer "
                                      "possible."), CODE_1),
    ("too_many_processes", traceback("RuntimeError: can't start new thread"), CODE_1),
    ("too_many_processes", "\nlibgomp: Thread creation failed: Resource temporarily unavailable\n", CODE_1),
    ("storage_failed", traceback("OSError: [Errno 5] Input/output error"), CODE_1),
    ("storage_failed", traceback("OSError: [Errno 116] Stale file handle: '/mnt/share/blob'"), CODE_1),
    ("permission_denied", traceback("PermissionError: [Errno 13] Permission denied: '/srv/imts/jobs'"), CODE_1),
    # How processes end
    ("engine_killed", "step 12\n", Remains(signal=9, peak_memory_bytes=GIB, memory_limit_bytes=100 * GIB)),
    ("engine_killed", "", Remains(signal=15)),
    ("engine_killed", "", Remains(code=143)),
    ("engine_crashed", SEGFAULT, Remains(signal=11)),
    ("engine_crashed", "free(): invalid pointer\n", Remains(signal=6)),
    ("engine_crashed", "", Remains(signal=4)),
    ("engine_crashed", "", Remains(code=139)),
    ("worker_lost", traceback("MemoryError"), Remains(is_lost=True)),
    ("not_started", "", Remains(start_fault="its processes died 3 times before they took it on")),
    ("engine_failed", traceback("RuntimeError: something nobody has seen before"), CODE_1),
    ("engine_exited", "", Remains(code=7)),
    ("engine_exited", "", Remains(code=0)),
    ("unknown", "", Remains()),
    # Installation and network
    ("bad_installation", traceback("ModuleNotFoundError: No module named 'bitsandbytes'"), CODE_1),
    ("bad_installation", traceback("ImportError: /srv/venv/lib/libtorch_cuda.so: undefined symbol: ncclCommRegister"),
     CODE_1),
    ("bad_installation", caused("ImportError: tokenizers>=0.22.0,<=0.23.0 is required for a normal functioning of this "
                                "module, but found tokenizers==0.15.0.",
                                "RuntimeError: Failed to import transformers.models.llama"), CODE_1),
    ("bad_installation", traceback("RuntimeError: operator torchvision::nms does not exist"), CODE_1),
    ("bad_installation", "/srv/venv/bin/python: error while loading shared libraries: libpython3.11.so.1.0: cannot open"
                         " shared object file: No such file or directory\n", Remains(code=127)),
    ("network_refused", traceback("OSError: We couldn't connect to 'https://huggingface.co' to load the files, and "
                                  "couldn't find them in the cached files."), CODE_1),
    ("network_refused", traceback("huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach https://huggingface.co/"
                                  "api/models/gpt2: offline mode is enabled."), CODE_1),
    ("network_failed", traceback("ConnectionRefusedError: [Errno 111] Connection refused"), CODE_1),
    ("network_failed", traceback("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443): Max "
                                 "retries exceeded"), CODE_1),
    ("judge_unavailable", caused("httpx2.ConnectError: All connection attempts failed",
                                 "openai.APIConnectionError: Connection error."), CODE_1),
    ("timed_out", traceback("subprocess.TimeoutExpired: Command '['git', 'log']' timed out after 30 seconds"), CODE_1),
    ("peer_unavailable", traceback("shared.kit.errors.PeerUnavailable: stream did not answer"), CODE_1),
    # The model and the data
    ("unknown_template", traceback("ValueError: Template nonsense does not exist."), CODE_1),
    ("tokenizer_missing", traceback("OSError: Failed to load tokenizer."), CODE_1),
    ("weights_damaged", traceback("safetensors_rust.SafetensorError: Error while deserializing header: incomplete "
                                  "metadata, file not fully covered"), CODE_1),
    ("weights_mismatch", traceback("RuntimeError: Error(s) in loading state_dict for Embedding:\n\tsize mismatch for "
                                   "weight: copying a param with shape torch.Size([320, 64]) from checkpoint, the "
                                   "shape in current model is torch.Size([512, 64])."), CODE_1),
    ("adapter_unusable", traceback("RuntimeError: Error(s) in loading state_dict for PeftModelForCausalLM:\n\tsize "
                                   "mismatch for base_model.model.layers.0.self_attn.q_proj.lora_A.default.weight: "
                                   "copying a param"), CODE_1),
    ("model_missing", traceback("OSError: Error no file named model.safetensors, or pytorch_model.bin, found in "
                                "directory /srv/imts/cache/trees/abc."), CODE_1),
    ("model_unusable", traceback("ValueError: The checkpoint you are trying to load has model type `llama9` but "
                                 "Transformers does not recognize this architecture."), CODE_1),
    ("checkpoint_damaged", traceback("RuntimeError: PytorchStreamReader failed reading zip archive: failed finding "
                                     "central directory"), CODE_1),
    ("checkpoint_damaged", traceback("_pickle.UnpicklingError: invalid load key, '\\x00'."), CODE_1),
    ("dataset_too_small", traceback("RuntimeError: Cannot find sufficient samples, consider increasing dataset size."),
     CODE_1),
    ("bad_data_row", caused("pyarrow.lib.ArrowInvalid: JSON parse error: Column(/messages/[]/content) changed from "
                            "string to array in row 17",
                            "datasets.exceptions.DatasetGenerationError: An error occurred while generating"),
     CODE_1),
]  # fmt: skip
"""Reason, end of the output, ends of the processes."""
