"""Where LLaMA-Factory 0.9.5's ppo, trl 0.9.6, transformers 5 and peft 0.18 do not fit together; one bridge a gap.

`second_trl.BUILT_FOR` names the versions; with others an engine refuses to start.
"""

import gc
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from llamafactory.train.ppo.trainer import CustomPPOTrainer

from services.training.callbacks.answers import AnswersCallback
from services.training.shared_weights import Weights, once
from shared.contracts.failures import Reason
from shared.worker.attempt import UserFault


class BridgedTrainer(CustomPPOTrainer):  # type: ignore[misc] # typed by the other trl
    """LLaMA-Factory's trainer; each line that is not its own says why."""

    def __init__(self, **given: Any) -> None:
        tokenizer, model = given["tokenizer"], given["model"]
        self._answers = next(one for one in given["callbacks"] if isinstance(one, AnswersCallback))
        name_further_ends(tokenizer)
        let_the_adapter_learn(model)
        super().__init__(**given)
        # transformers 5 saves the tokenizer by this name; only its own Trainer.__init__, which nobody calls, sets it.
        self.processing_class = tokenizer
        # trl 0.9.6 keeps a generator here, which the first clipping uses up: no later gradient would be clipped.
        self.model_params = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.amp_context = computation(given["training_args"], self.current_device)
        self._measure_against_its_reference()
        if not len(self.dataloader):
            raise UserFault(Reason.DATASET_TOO_SMALL, _too_few(len(self.dataset), self.config.batch_size))
        # LLaMA-Factory collects garbage at each forward pass, and would look at all that was imported each time.
        gc.collect()
        gc.freeze()

    def _measure_against_its_reference(self) -> None:
        """The distance is measured from `ref_model` where there is one.

        trl 0.9.6 leaves it out for an adapter and takes the bare base: what an earlier adapter learnt would count as
        distance.
        """
        if self.ref_model is not None:
            self.is_peft_model = False
            self.optional_peft_ctx = nullcontext

    def step(
        self, queries: list[torch.Tensor], responses: list[torch.Tensor], scores: list[torch.Tensor], masks: Any = None
    ) -> dict[str, Any]:
        """As it is; its figures, of which LLaMA-Factory logs two, go to our callback, and epochs are told."""
        done, per_epoch = self.state.global_step, len(self.dataloader)
        if done and done % per_epoch == 0:
            self.callback_handler.on_epoch_end(self.args, self.state, self.control)
        figures: dict[str, Any] = super().step(queries, responses, scores, masks)
        tokens = sum(len(part) for part in (*queries, *responses))
        self._answers.take(figures, float(torch.stack(scores).float().mean()), tokens, per_epoch)
        return figures

    def _save(self, output_dir: str | None = None, state_dict: Weights | None = None) -> None:
        """As it is; safetensors refuses weights that two layers share, and LLaMA-Factory hands it both."""
        super()._save(output_dir, once(self.model.state_dict() if state_dict is None else state_dict))


def name_further_ends(tokenizer: Any) -> None:
    """transformers 5 calls them `extra_special_tokens`; LLaMA-Factory ends an answer at them by the old name."""
    object.__setattr__(tokenizer, "additional_special_tokens_ids", tokenizer.extra_special_tokens_ids)


def let_the_adapter_learn(model: Any) -> None:
    """peft 0.18 freezes the adapter when the reward model's is loaded beside it: the value head alone would learn."""
    if model.is_peft_model:
        model.pretrained_model.set_adapter("default")


def computation(arguments: Any, device: torch.device) -> AbstractContextManager[Any]:
    """In the precision that was asked for; LLaMA-Factory takes the device's half precision whatever that was."""
    if not (arguments.bf16 or arguments.fp16):
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast(
        device.type, torch.bfloat16 if arguments.bf16 else torch.float16
    )
    return context


def _too_few(rows: int, wanted: int) -> str:
    return (
        f"the data set has {rows} questions, and a step takes {wanted}: batchSize · gradientAccumulationSteps · "
        "ppoBufferSize; lower one of them or add rows"
    )
