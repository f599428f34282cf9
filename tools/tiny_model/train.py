"""Training loop: seeded, resumable, on a CPU or a GPU."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import LESSONS_UNTIL, Batch, chunk_ids, chunk_texts, stream
from .corpus import batches as make_batches
from .export import export
from .model import GPT2, ModelConfig
from .optimizer import Optimizer
from .tokenizer import train_tokenizer


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of a training run."""

    seed: int = 1
    steps: int = 7000
    batch_tokens: int = 2048
    batches_per_step: int = 2
    warmup: int = 60
    cooldown: float = 0.25
    muon_rate: float = 0.006
    adam_rate: float = 4e-3
    tokenizer_documents: int = 16_000
    first_chunk: int = 0
    held_out_documents: int = 96
    model: ModelConfig = field(default_factory=ModelConfig)


SMOKE = Settings(
    steps=60,
    warmup=5,
    batches_per_step=1,
    tokenizer_documents=500,
    first_chunk=LESSONS_UNTIL,
    held_out_documents=16,
    model=ModelConfig(vocab=512, positions=256, width=64, layers=2, heads=2),
)


def rate_scale(step: int, settings: Settings) -> float:
    """Learning rate schedule: linear warm-up, plateau, linear decay over the last `cooldown`.

    Up to the way down nothing depends on the number of steps: a run can be made longer.
    """
    down = settings.cooldown * settings.steps
    return min(1.0, (step + 1) / settings.warmup, (settings.steps - step) / max(1.0, down))


def _tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Ids and targets, (batch, time) each, and the weights of the targets that count, in order."""
    weights = torch.from_numpy(batch.weights[batch.targets >= 0])
    return (
        torch.from_numpy(batch.ids).to(device),
        torch.from_numpy(batch.targets).to(device),
        weights.to(device),
    )


class Trainer:
    """A training run in a folder with its tokenizer, checkpoint and log."""

    def __init__(self, settings: Settings, work: Path, device: str = "cpu") -> None:
        self.settings = settings
        self.work = work
        self.device = torch.device(device)
        work.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self._tokenizer()
        torch.manual_seed(settings.seed)
        self.model = GPT2(settings.model).to(self.device)
        self.optimizer = Optimizer(self.model, settings.muon_rate, settings.adam_rate)
        self.step = 0
        self._resume()

    def _tokenizer(self) -> Tokenizer:
        path = self.work / "tokenizer.json"
        if not path.exists():
            settings = self.settings
            made = train_tokenizer(
                settings.seed, settings.model.vocab, settings.tokenizer_documents
            )
            made.save(str(path))
        return Tokenizer.from_file(str(path))

    @property
    def _checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        saved = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        # Only the number of steps may differ: the schedule goes on as that of the new number.
        if saved["settings"] | {"steps": 0} != asdict(self.settings) | {"steps": 0}:
            raise SystemExit(f"{self._checkpoint} is of other settings; use another --work folder")
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "settings": asdict(self.settings),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        part = self._checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self._checkpoint)

    def log(self, text: str) -> None:
        """Write a line to the terminal and to `log.txt`."""
        print(text, flush=True)
        with (self.work / "log.txt").open("a") as file:
            file.write(text + "\n")

    def held_out_loss(self) -> float:
        """Mean loss in nats a token on held-out documents."""
        settings = self.settings
        texts = chunk_texts(f"held-out-{settings.seed}", 0, settings.held_out_documents)
        rows = chunk_ids(self.tokenizer, texts, settings.model.positions)
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in make_batches(rows, settings.batch_tokens, random.Random(0)):
                ids, targets, weights = _tensors(batch, self.device)
                total += self.model.losses(ids, targets).sum().item()
                count += len(weights)
        return total / count

    def run(self, until: int | None = None, every: int = 50, check: int = 250) -> float:
        """Train to the last step, or `until` one; returns the held-out loss in nats a token."""
        last = self.settings.steps if until is None else until
        settings = self.settings
        each = settings.batches_per_step
        source = stream(
            self.tokenizer,
            settings.seed,
            settings.model.positions,
            settings.batch_tokens,
            skip=self.step * each,
            chunk=settings.first_chunk,
        )
        start, seen, mean = time.monotonic(), 0, 0.0
        parameters = sum(p.numel() for p in self.model.parameters())
        self.log(f"{parameters:,} parameters, step {self.step} of {settings.steps}")
        while self.step < last:
            loss, tokens = self._one_step([next(source) for _ in range(each)])
            seen += tokens
            mean = loss if mean == 0 else mean + 0.05 * (loss - mean)
            self.step += 1
            if self.step % every == 0:
                speed = seen / (time.monotonic() - start)
                self.log(f"step {self.step:5d}  loss {mean:.4f}  {speed:,.0f} tokens/s")
            if self.step % check == 0:
                self.log(f"step {self.step:5d}  held-out loss {self.held_out_loss():.4f}")
                self.save()
        self.save()
        final = self.held_out_loss()
        self.log(f"done: held-out loss {final:.4f}")
        return final

    def _one_step(self, made: list[Batch]) -> tuple[float, int]:
        """Mean loss in nats over the targets, and their number."""
        parts = [_tensors(batch, self.device) for batch in made]
        whole = sum(float(weights.sum()) for _, _, weights in parts)
        total, count = 0.0, 0
        for ids, targets, weights in parts:
            losses = self.model.losses(ids, targets)
            torch.autograd.backward((losses * weights).sum() / whole)
            total += losses.detach().sum().item()
            count += len(weights)
        self.optimizer.step(rate_scale(self.step, self.settings))
        return total / count, count

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        export(self.model, self.tokenizer, folder)
