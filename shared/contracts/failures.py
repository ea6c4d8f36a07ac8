"""Why an attempt can fail: stable reasons, whose fault each is, and what to do (standard library only)."""

from enum import StrEnum


class FailureClass(StrEnum):
    """Whose fault it is; only the right class spends retry budget."""

    USER = "user"
    PLATFORM = "platform"
    INFRASTRUCTURE = "infrastructure"
    UNKNOWN = "unknown"


_USER, _PLATFORM = FailureClass.USER, FailureClass.PLATFORM
_MACHINE, _UNKNOWN = FailureClass.INFRASTRUCTURE, FailureClass.UNKNOWN
_ONCE = False
"""Another attempt would end the same way."""


class Reason(StrEnum):
    """The one list of reasons; a name, once published, keeps its meaning.

    Each has its class, what it means, what the user should do, and whether another attempt may go better:
    never after a user's fault, otherwise yes unless it says `_ONCE`.
    """

    failure_class: FailureClass
    means: str
    advice: str
    retryable: bool

    def __new__(
        cls, name: str, failure_class: FailureClass, means: str, advice: str, retryable: bool = True
    ) -> "Reason":
        """One row of the list."""
        row = str.__new__(cls, name)
        row._value_ = name
        row.failure_class, row.means, row.advice = failure_class, means, advice
        row.retryable = retryable and failure_class is not FailureClass.USER
        return row

    # fmt: off
    # The data set
    BAD_DATA_ROW = ("bad_data_row", _USER, "a row of the data set (numbered from 1) cannot be read or trained on",
                    "correct the row that the message names, register the data set again and submit a new job")
    NO_TRAINABLE_ROWS = ("no_trainable_rows", _USER, "no row of the data set fits the job",
                         "look at the rows that were left out and why; stage sft needs conversations, pt needs text")
    DATASET_TOO_SMALL = ("dataset_too_small", _USER, "all rows together do not fill one block of cutoffLen tokens",
                         "lower cutoffLen or add text")
    CUTOFF_TOO_SHORT = ("cutoff_too_short", _USER, "rows keep no token of an answer within cutoffLen",
                        "raise cutoffLen or shorten the prompts")
    NO_QUESTIONS = ("no_questions", _USER, "no row has a question with an answer to compare with",
                    "name a data set of answered conversations")
    # The model
    UNKNOWN_TEMPLATE = ("unknown_template", _USER, "the model's chat template is not one that LLaMA-Factory knows",
                        "import the model again with the template of its family")
    TEMPLATE_MISMATCH = ("template_mismatch", _USER, "the chat template needs tokens that the model has no weights for",
                         "import the model again with the template of its family")
    MODEL_MISSING = ("model_missing", _USER, "the model's folder lacks its config or its safetensors weights",
                     "import the whole folder: config.json, tokenizer and safetensors weights")
    MODEL_UNUSABLE = ("model_unusable", _USER, "the model cannot be loaded",
                      "read the message; import a model of an architecture that transformers knows")
    WEIGHTS_DAMAGED = ("weights_damaged", _USER, "a safetensors file of the model is cut short or damaged",
                       "check the files' hashes where they came from and import the model again")
    WEIGHTS_MISMATCH = ("weights_mismatch", _USER, "the weights do not have the shapes that config.json says",
                        "import weights and config.json of the same model")
    ADAPTER_UNUSABLE = ("adapter_unusable", _USER, "the adapter was not made for this base",
                        "name the base that the adapter was trained on")
    TOKENIZER_MISSING = ("tokenizer_missing", _USER, "the model has no tokenizer that can be read",
                         "import the model together with tokenizer.json and tokenizer_config.json")
    TOKEN_OUT_OF_RANGE = ("token_out_of_range", _USER, "a token or position lies outside the model's tables",
                          "lower cutoffLen to what the model can attend to, or import it with its own tokenizer")
    # The request
    FULL_ON_ADAPTER = ("full_on_adapter", _USER, "a model that is an adapter on its base, and a method other than lora",
                       "train the adapter on with finetuningType lora, or name its base")
    OPTION_UNSUPPORTED = ("option_unsupported", _USER, "an option needs what the machine or the model does not have",
                          "drop the option that the message names, or choose a worker or model that has it")
    OPERATION_UNKNOWN = ("operation_unknown", _USER, "the export operation does not exist",
                         "name one of the documented operations")
    TARGET_REFUSED = ("target_refused", _USER, "the server that an export was sent to refused it",
                      "read the server's words in the message")
    LOSS_DIVERGED = ("loss_diverged", _USER, "the loss rose without end until it was no number",
                     "lower learningRate and raise warmupRatio")
    LOSS_NOT_FINITE = ("loss_not_finite", _USER, "the loss was suddenly no number; the weights are lost",
                       "lower learningRate, raise warmupRatio, look for rows that cutoffLen leaves without an answer")
    OUT_OF_MEMORY_GPU = ("out_of_memory_gpu", _USER, "the job needs more memory than the GPU has",
                         "halve batchSize and double gradientAccumulationSteps: the result stays the same")
    STOPPED_BY_USER = ("stopped_by_user", _USER, "a user stopped the job",
                       "nothing: its newest checkpoint stays; `retry` makes a new job of it")
    RUN_TIMEOUT = ("run_timeout", _USER, "the attempt ran longer than the job may",
                   "raise runTimeoutS, or ask for less work; the newest checkpoint stays")
    DEPENDENCY_FAILED = ("dependency_failed", _USER, "a job that this one depends on did not succeed",
                         "look at the job that the message names, then `clone` this one")
    # The machine
    QUEUE_TIMEOUT = ("queue_timeout", _MACHINE, "the job waited longer for its first attempt than it may",
                     "raise queueTimeoutS or priority, or add workers; `queue.why` says what jobs wait for", _ONCE)
    NO_PROGRESS = ("no_progress", _MACHINE, "the attempt wrote nothing for longer than it may",
                   "read the end of the log; raise noProgressTimeoutS where steps are slow by nature")
    OUT_OF_MEMORY_HOST = ("out_of_memory_host", _MACHINE, "the machine, its cgroup or a limit had no memory left",
                          "halve batchSize and double gradientAccumulationSteps, or give the worker more memory")
    GPU_MEMORY_TAKEN = ("gpu_memory_taken", _MACHINE, "other processes hold the GPU's memory",
                        "end what else runs on the GPU, or wait for it")
    DISK_FULL = ("disk_full", _MACHINE, "the disk, a quota or a file size limit is used up",
                 "free space on the worker's data folder; fewer keepCheckpoints need less of it")
    SHARED_MEMORY_FULL = ("shared_memory_full", _MACHINE, "the shared memory of the container is used up",
                          "give the container a larger shm size")
    TOO_MANY_OPEN_FILES = ("too_many_open_files", _MACHINE, "the process may open no more files",
                           "raise the worker's limit on open files (ulimit -n)")
    TOO_MANY_PROCESSES = ("too_many_processes", _MACHINE, "no further process or thread could be started",
                          "raise the worker's limit on processes (ulimit -u, pids.max)")
    STORAGE_FAILED = ("storage_failed", _MACHINE, "reading or writing a disk or network share failed",
                      "check the disk and its mount; see the machine's kernel log")
    WORKER_LOST = ("worker_lost", _MACHINE, "the attempt's processes died without a report, or its worker forgot it",
                   "nothing if it passes; otherwise look for what ends processes on the worker's machine")
    ENGINE_KILLED = ("engine_killed", _MACHINE, "something outside ended the engine by a signal",
                     "look for who ends processes on the worker's machine: a person, a batch system, an OOM daemon")
    DEVICE_MISSING = ("device_missing", _MACHINE, "no GPU, or no driver for it, where one was there before",
                      "check the driver and that the container was given the GPU")
    DEVICE_LOST = ("device_lost", _MACHINE, "the GPU stopped answering",
                   "take the GPU out of service and look at its kernel messages (Xid, ECC)")
    DISTRIBUTED_FAILED = ("distributed_failed", _MACHINE, "processes of one training lost each other",
                          "look at the rank that failed first and at the network between the ranks")
    NETWORK_FAILED = ("network_failed", _MACHINE, "a connection was refused, reset or timed out",
                      "check the network between the worker and what the message names")
    PEER_UNAVAILABLE = ("peer_unavailable", _MACHINE, "a service of the mesh did not answer",
                        "check the service that the message names")
    JUDGE_UNAVAILABLE = ("judge_unavailable", _MACHINE, "the language model asked to judge did not answer",
                         "check the judge's address, key and quota")
    TIMED_OUT = ("timed_out", _MACHINE, "an operation of the engine took longer than it may",
                 "look at what the message names; a loaded machine is the usual cause")
    # Our side
    ENGINE_CRASHED = ("engine_crashed", _PLATFORM, "native code of the engine crashed",
                      "read the end of the log; if it comes again, report it with the versions in use")
    CUDA_ERROR = ("cuda_error", _PLATFORM, "a computation on the GPU failed",
                  "read the end of the log; if it comes again, report it with the versions in use")
    DEVICE_UNSUPPORTED = ("device_unsupported", _PLATFORM, "the installed software cannot use this device",
                          "install a torch build for this GPU and driver", _ONCE)
    BAD_INSTALLATION = ("bad_installation", _PLATFORM, "a library is missing, broken or of the wrong version",
                        "install from the lock file again (`make setup`)", _ONCE)
    PERMISSION_DENIED = ("permission_denied", _PLATFORM, "the worker may not read or write a file",
                         "give the worker's user the right to its data folder and artifact store", _ONCE)
    NETWORK_REFUSED = ("network_refused", _PLATFORM, "the engine wanted something from the network and has none",
                       "import the model with all its files: engines never download", _ONCE)
    CHECKPOINT_DAMAGED = ("checkpoint_damaged", _PLATFORM, "a checkpoint cannot be resumed from",
                          "nothing: it is set aside and the next attempt goes on from an older one")
    ARTIFACT_NOT_FOUND = ("artifact_not_found", _PLATFORM, "the artifact store lacks a file of the job's inputs",
                          "restore the artifact store, or register the data set or model again", _ONCE)
    ARTIFACT_DAMAGED = ("artifact_damaged", _PLATFORM, "a file in the artifact store is not what its hash says",
                        "restore the artifact store, or register the data set or model again", _ONCE)
    NO_MODEL_MADE = ("no_model_made", _PLATFORM, "the attempt reported success without saying which model it made",
                     "report it with the job's log", _ONCE)
    WORKER_REFUSED = ("worker_refused", _PLATFORM, "the worker will not take the attempt",
                      "read the message; services of different versions are the usual cause", _ONCE)
    NOT_STARTED = ("not_started", _PLATFORM, "the attempt's processes died before they took it on",
                   "read the worker's own log; the engine may be unable to start at all")
    SERVICE_ERROR = ("service_error", _PLATFORM, "a part of IMTS refused the engine",
                     "read the message; if it comes again, report it with the job's log")
    ENGINE_FAILED = ("engine_failed", _UNKNOWN, "the engine raised something that is not in this table",
                     "read the exception in the evidence and the end of the log")
    ENGINE_EXITED = ("engine_exited", _UNKNOWN, "the engine ended without a result and without a word",
                     "read the end of the log")
    UNKNOWN = ("unknown", _UNKNOWN, "the attempt failed without saying why", "read the attempt's log", _ONCE)
    # fmt: on
