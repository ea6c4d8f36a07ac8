"""The table that a failure's reason is read from: the first sign that fits decides."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from errno import (
    EACCES,
    ECONNREFUSED,
    ECONNRESET,
    EDQUOT,
    EFBIG,
    EHOSTUNREACH,
    EIO,
    EMFILE,
    ENETUNREACH,
    ENFILE,
    ENOMEM,
    ENOSPC,
    EPERM,
    EROFS,
    ESTALE,
    ETIMEDOUT,
)

from shared.contracts.failures import Reason
from shared.worker.failures.case import Case, Fault

_NEARLY_ALL = 0.9
_RISE = 2.0
"""Last finite loss over the lowest before it: a run that only wavers stays below."""
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}
)


@dataclass(frozen=True, slots=True)
class Sign:
    """Fits when all that it names is there; without `kinds`, `words` and `errnos` it is not about an exception."""

    reason: Reason
    kinds: frozenset[str] = frozenset()
    """Names of exceptions or of their bases."""
    words: str = ""
    """A regular expression in the exception's message."""
    errnos: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    """Of our own errors."""
    log: str = ""
    """A regular expression in one of the last lines of the output."""
    signals: frozenset[int] = frozenset()
    named: Reason | None = None
    """What the engine called it; this sign knows better."""
    when: Callable[[Case], bool] | None = None

    @property
    def is_about_a_fault(self) -> bool:
        """Whether there must be an exception."""
        return bool(self.kinds or self.words or self.errnos or self.codes)

    def fits(self, case: Case, fault: Fault | None) -> bool:
        """Whether the case, seen through one of its exceptions or through none, shows this sign."""
        if self.is_about_a_fault and (fault is None or not self._is_shown_by(fault)):
            return False
        if self.named is not None and case.named is not self.named:
            return False
        if self.signals and case.remains.fatal_signal not in self.signals:
            return False
        if self.log and not any(re.search(self.log, line.text) for line in case.log):
            return False
        return self.when is None or self.when(case)

    def _is_shown_by(self, fault: Fault) -> bool:
        return (
            (not self.kinds or not self.kinds.isdisjoint(fault.kinds))
            and (not self.words or re.search(self.words, fault.message) is not None)
            and (not self.errnos or fault.errno in self.errnos)
            and (not self.codes or fault.code in self.codes)
        )


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


def _was_killed_for_memory(case: Case) -> bool:
    return case.remains.oom_kills > 0


def _had_nearly_all_memory(case: Case) -> bool:
    peak, limit = case.remains.peak_memory_bytes, case.remains.memory_limit_bytes
    return bool(peak and limit and peak >= _NEARLY_ALL * limit)


def _loss_was_rising(case: Case) -> bool:
    losses = [loss for event in case.events if isinstance(loss := event["data"].get("train_loss"), float)]
    return len(losses) > 1 and losses[-1] >= _RISE * max(min(losses[:-1]), 1e-6)


R = Reason
SIGNS: tuple[Sign, ...] = (
    Sign(R.STOPPED_BY_USER, when=lambda case: case.was_stopped),
    Sign(R.NOT_STARTED, when=lambda case: case.remains.start_fault is not None),
    Sign(R.WORKER_LOST, when=lambda case: case.remains.is_lost),
    Sign(R.LOSS_DIVERGED, named=R.LOSS_NOT_FINITE, when=_loss_was_rising),
    # What exceptions say: our own
    Sign(R.ARTIFACT_NOT_FOUND, codes=frozenset({"artifact_not_found"})),
    Sign(R.ARTIFACT_DAMAGED, codes=frozenset({"artifact_damaged"})),
    Sign(R.PEER_UNAVAILABLE, _kinds("PeerUnavailable", "Unavailable")),
    Sign(R.SERVICE_ERROR, _kinds("ImtsError")),
    # Memory
    Sign(R.GPU_MEMORY_TAKEN, words=r"out of memory.*Process \d+ has (?!0\.)[\d.]+ GiB.*this process has"),
    Sign(R.GPU_MEMORY_TAKEN, words=r"CUDA-capable device\(s\) is/are busy or unavailable"),
    Sign(R.OUT_OF_MEMORY_GPU, _kinds("OutOfMemoryError")),
    Sign(R.OUT_OF_MEMORY_GPU, words=r"(CUDA|HIP|XPU|NPU|MPS backend) (error: )?out of memory|_STATUS_ALLOC_FAILED"),
    Sign(R.OUT_OF_MEMORY_HOST, _kinds("MemoryError", "_ArrayMemoryError", "ArrowMemoryError")),
    Sign(R.OUT_OF_MEMORY_HOST, errnos=frozenset({ENOMEM})),
    Sign(R.OUT_OF_MEMORY_HOST, words=r"can't allocate memory|[Cc]annot allocate memory|std::bad_alloc"),
    Sign(R.OUT_OF_MEMORY_HOST, words=r"failed to map segment from shared object(?!: Operation not permitted)"),
    Sign(R.OUT_OF_MEMORY_HOST, words=r"DataLoader worker .*(killed by signal: Killed|exited unexpectedly)",
         when=_was_killed_for_memory),
    Sign(R.OUT_OF_MEMORY_HOST, _kinds("ChildFailedError"), log=r"exitcode\s*: -9", when=_was_killed_for_memory),
    # Disk, files, processes
    Sign(R.SHARED_MEMORY_FULL, words=r"</torch_\d+|(out of|insufficient) shared memory|shared memory object"),
    Sign(R.DISK_FULL, errnos=frozenset({ENOSPC, EDQUOT, EFBIG})),
    Sign(R.DISK_FULL, words=r"No space left on device|quota exceeded|File too large|file write failed|disk is full"),
    Sign(R.DISK_FULL, words=r"inline_container.*unexpected pos \d+ vs \d+|iostream error"),
    Sign(R.TOO_MANY_OPEN_FILES, errnos=frozenset({EMFILE, ENFILE})),
    Sign(R.TOO_MANY_OPEN_FILES, words=r"Too many open files"),
    Sign(R.TOO_MANY_PROCESSES, words=r"can't start new thread|Thread creation failed|pthread_create failed"),
    Sign(R.TOO_MANY_PROCESSES, _kinds("BlockingIOError"), words=r"Resource temporarily unavailable"),
    Sign(R.STORAGE_FAILED, errnos=frozenset({EIO, ESTALE, EROFS})),
    Sign(R.PERMISSION_DENIED, errnos=frozenset({EACCES, EPERM})),
    Sign(R.PERMISSION_DENIED, words=r"Permission denied \(os error"),
    # The GPU and its company
    Sign(R.DEVICE_UNSUPPORTED, words=r"no kernel image is available|driver version is insufficient"),
    Sign(R.DEVICE_UNSUPPORTED, words=r"driver .* is too old|not compiled with CUDA|setup doesn't support bf16"),
    Sign(R.DEVICE_MISSING, words=r"no NVIDIA driver|No CUDA GPUs are available|cudaGetDeviceCount"),
    Sign(R.DEVICE_LOST, words=r"uncorrectable \w+ error|GPU is lost|unspecified launch failure|launch timed out"),
    Sign(R.TOKEN_OUT_OF_RANGE, words=r"index out of range in self"),
    Sign(R.TOKEN_OUT_OF_RANGE, words=r"device-side assert", log=r"Assertion.*(srcSelectDimSize|n_classes|sizes\[i\])"),
    Sign(R.DISTRIBUTED_FAILED, _kinds("DistBackendError", "DistStoreError", "DistNetworkError", "ChildFailedError")),
    Sign(R.DISTRIBUTED_FAILED, words=r"NCCL error|nccl\w+Error|collective operation timeout|gloo/transport|TCPStore"),
    Sign(R.CUDA_ERROR, words=r"CUDA error|CUBLAS_STATUS_|CUDNN_STATUS_|cuDNN error|HIP error"),
    # Installation and network
    Sign(R.NETWORK_REFUSED, _kinds("OfflineModeIsEnabled", "LocalEntryNotFoundError")),
    Sign(R.NETWORK_REFUSED, words=r"couldn't connect to 'https|offline mode is enabled|outgoing traffic has been"),
    Sign(R.JUDGE_UNAVAILABLE, _kinds("APIConnectionError", "APITimeoutError", "RateLimitError", "APIStatusError")),
    Sign(R.BAD_INSTALLATION, _kinds("ImportError", "ModuleNotFoundError", "PackageNotFoundError")),
    Sign(R.BAD_INSTALLATION, words=r"undefined symbol|operator torchvision::|GLIBC\w*_[\d.]+' not found"),
    Sign(R.BAD_INSTALLATION, words=r"Failed to import transformers|cannot open shared object file"),
    # The model and the data
    Sign(R.CUTOFF_TOO_SHORT, words=r"Image features and image tokens do not match"),
    Sign(R.UNKNOWN_TEMPLATE, _kinds("ValueError"), words=r"^Template .* does not exist"),
    Sign(R.TOKENIZER_MISSING, words=r"Failed to load tokenizer|Can't load tokenizer|instantiate the backend tokenizer"),
    Sign(R.WEIGHTS_DAMAGED, _kinds("SafetensorError")),
    Sign(R.WEIGHTS_DAMAGED, words=r"[Ee]rror while deserializing header|incomplete metadata|HeaderTooLarge"),
    Sign(R.ADAPTER_UNUSABLE, words=r"size mismatch for \S*lora_"),
    Sign(R.ADAPTER_UNUSABLE, words=r"Can't find 'adapter_config|Target modules .* not found"),
    Sign(R.WEIGHTS_MISMATCH, words=r"size mismatch for|ignore_mismatched_sizes"),
    Sign(R.MODEL_MISSING, words=r"no file named \S*(model\.safetensors|pytorch_model)|not appear to have a file named"),
    Sign(R.MODEL_MISSING, words=r"Can't load the (configuration|model)"),
    Sign(R.MODEL_UNUSABLE, words=r"Unrecognized (model|configuration)|does not recognize this architecture"),
    Sign(R.CHECKPOINT_DAMAGED, _kinds("UnpicklingError")),
    Sign(R.CHECKPOINT_DAMAGED, words=r"PytorchStreamReader failed|Invalid magic number|Weights only load failed"),
    Sign(R.CHECKPOINT_DAMAGED, words=r"Can't find a valid checkpoint|Ran out of input"),
    Sign(R.DATASET_TOO_SMALL, words=r"^Cannot find sufficient samples"),
    Sign(R.BAD_DATA_ROW, _kinds("ArrowInvalid", "ArrowTypeError", "DatasetGenerationError", "CastError")),
    # Networks at large, after all that fails by one and says more
    Sign(R.NETWORK_FAILED, errnos=frozenset({ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT})),
    Sign(R.NETWORK_FAILED, _kinds("ConnectionError", "ConnectError", "ConnectTimeout", "ReadTimeout", "MaxRetryError",
                                  "NewConnectionError", "ConnectionRefusedError", "ConnectionResetError", "gaierror")),
    Sign(R.TIMED_OUT, _kinds("TimeoutError", "TimeoutExpired")),
    # No exception that says enough: how the processes ended
    Sign(R.OUT_OF_MEMORY_HOST, signals=frozenset({signal.SIGKILL}), when=_was_killed_for_memory),
    Sign(R.OUT_OF_MEMORY_HOST, signals=frozenset({signal.SIGKILL}), when=_had_nearly_all_memory),
    Sign(R.DISK_FULL, signals=frozenset({signal.SIGXFSZ})),
    Sign(R.SHARED_MEMORY_FULL, signals=frozenset({signal.SIGBUS}), log=r"shared memory|/dev/shm"),
    Sign(R.ENGINE_CRASHED, signals=_CRASHES),
    Sign(R.ENGINE_KILLED, when=lambda case: case.remains.fatal_signal is not None),
    Sign(R.OUT_OF_MEMORY_HOST, when=_was_killed_for_memory),
    Sign(R.TOO_MANY_PROCESSES, log=r"^libgomp: Thread creation failed|pthread_create failed"),
    Sign(R.BAD_INSTALLATION, log=r"error while loading shared libraries|No module named"),
    Sign(R.ENGINE_FAILED, when=lambda case: case.named is R.ENGINE_FAILED or bool(case.faults)),
    Sign(R.ENGINE_EXITED, when=lambda case: case.remains.code is not None),
    Sign(R.UNKNOWN),
)  # fmt: skip
"""Seen through each exception in turn, the one that ended the engine first; at last through none."""
