"""One training step and one validation step of U2, for Lightning."""

import math

import lightning
import torch
from torch import Tensor

from halfbyte.blocks.masks import FULL_CONTEXT, draw_chunk_steps
from halfbyte.data.dataset import Batch
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.families.u2.model import BLANK, U2, LogProbs
from halfbyte.scores.words import Errors, count_errors
from halfbyte.train.config import TrainConfig
from halfbyte.train.distillation import ask, divergence


def greedy_tokens(log_probs: Tensor, num_steps: Tensor) -> list[list[int]]:
    """Best token of each step, repeats merged, blanks dropped; (B, T, V) -> B token lists."""
    best = log_probs.argmax(dim=-1)
    collapsed = []
    for row, steps in zip(best, num_steps.tolist(), strict=True):
        merged = torch.unique_consecutive(row[:steps]).tolist()
        collapsed.append([token for token in merged if token != BLANK])
    return collapsed


class U2Task(lightning.LightningModule):
    """Trains U2 with dynamic chunks; validates with the numbers that ship.

    Every random draw of a step comes from (seed, step, process), so that a resumed run
    repeats the uninterrupted one.
    """

    def __init__(
        self, model: U2, tokenizer: Tokenizer, config: TrainConfig, teacher: U2 | None = None
    ):
        super().__init__()
        self.model = model
        self._teacher = [teacher] if teacher else []  # in a list: no part of checkpoints
        self.tokenizer = tokenizer
        self.config = config
        self._errors = Errors()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        step = self.trainer.fit_loop.epoch_loop.total_batch_idx
        seed = self.config.seed * 1_000_003 + step
        torch.manual_seed(seed * self.trainer.world_size + self.global_rank)
        # From the padded length: asking num_frames would wait for a GPU.
        num_frames = torch.tensor(batch.features.shape[1])
        longest = int(self.model.encoder.subsampling.num_steps(num_frames))
        chunk = draw_chunk_steps(
            longest, self.config.model.dynamic_chunk, torch.Generator().manual_seed(seed)
        )
        said = self.model.log_probs(
            batch.features, batch.num_frames, batch.tokens, batch.num_tokens, chunk
        )
        losses = self.model.loss(said, batch.tokens, batch.num_tokens)
        size = len(batch.texts)
        self.log("loss", losses["loss"].detach(), prog_bar=True, batch_size=size)
        self.log("ctc", losses["ctc"], prog_bar=True, batch_size=size)
        self.log("attention", losses["attention"], batch_size=size)
        return self._distilled(losses["loss"], said, batch, chunk)

    def _distilled(self, loss: Tensor, said: LogProbs, batch: Batch, chunk: int) -> Tensor:
        for teacher in self._teacher:
            told = ask(teacher.to(self.device), batch, chunk)
            apart = divergence(said, told, self.config.model.ctc_weight)
            self.log("divergence", apart.detach(), batch_size=len(batch.texts))
            weight = self.config.distillation.weight
            loss = (1 - weight) * loss + weight * apart
        return loss

    def on_validation_epoch_start(self) -> None:
        self._errors = Errors()

    def validation_step(self, batch: Batch, _: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # float32, as the device computes
            encoded, num_steps = self.model.encoder(batch.features, batch.num_frames, FULL_CONTEXT)
            log_probs = self.model.ctc_log_probs(encoded)
        for text, tokens in zip(batch.texts, greedy_tokens(log_probs, num_steps), strict=True):
            self._errors += count_errors(text, self.tokenizer.decode(tokens))

    def on_validation_epoch_end(self) -> None:
        names = ("num_errors", "num_words", "num_right", "num_utterances")
        counts = torch.tensor([float(getattr(self._errors, n)) for n in names], device=self.device)
        errors, words, right, utterances = self.all_gather(counts).reshape(-1, 4).sum(0)
        self.log("dev_wer", errors / words.clamp_min(1), prog_bar=True)
        self.log("dev_sentences_right", right / utterances.clamp_min(1), prog_bar=True)

    def configure_gradient_clipping(self, *_: object, **__: object) -> None:
        """Ourselves: Lightning would refuse with a fused optimiser, for which fp16 has a scaler."""
        clip = self.config.optimizer.gradient_clip
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)

    def configure_optimizers(self) -> dict:
        options = self.config.optimizer
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.dim() > 1]},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, options.peak_rate, (0.9, 0.98), weight_decay=options.weight_decay, fused=True
        )
        # Not `estimated_stepping_batches`: it would make the loader before a resumed run knows
        # where it stands.
        total_steps = self.trainer.datamodule.num_steps(self.config.loop.epochs)

        def rate(step: int) -> float:
            if step < options.warmup_steps:
                return (step + 1) / options.warmup_steps
            done = (step - options.warmup_steps) / max(1, total_steps - options.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
