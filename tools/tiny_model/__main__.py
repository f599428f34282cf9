"""Command line of the tools for `tiny`."""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "gptterm" / "models" / "tiny"


def _train(options: argparse.Namespace) -> None:
    import torch

    from .train import SMOKE, Settings, Trainer

    torch.set_num_threads(options.threads)
    settings = SMOKE if options.smoke else Settings()
    if options.steps:
        settings = replace(settings, steps=options.steps)
    if options.layers:
        settings = replace(settings, model=replace(settings.model, layers=options.layers))
    if options.batches:
        settings = replace(settings, batches_per_step=options.batches)
    settings = replace(settings, seed=options.seed)
    if options.smoke:
        options.work = options.out = Path(tempfile.mkdtemp(prefix="tiny-smoke-"))
    trainer = Trainer(settings, options.work, options.device)
    trainer.run()
    trainer.export(options.out)
    print(f"written to {options.out}")


def _quality(options: argparse.Namespace) -> None:
    from .quality import measure

    measure(options.model, options.seed, options.chunks, options.count, options.threads)


def _picture(options: argparse.Namespace) -> None:
    from .picture import draw
    from .quality import induction

    layer, head, _ = induction(options.model)
    options.out.write_text(draw(options.model, layer, head))
    print(options.out)


def _sample(options: argparse.Namespace) -> None:
    from .corpus import document

    for index in range(options.count):
        print(document(random.Random(f"{options.seed}-{index}")), end="\n\n")


def main() -> None:
    """Run the command given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.tiny_model", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train; goes on from the checkpoint in --work")
    train.add_argument("--work", type=Path, default=Path("build/tiny"))
    train.add_argument("--out", type=Path, default=MODEL)
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--steps", type=int)
    train.add_argument("--layers", type=int, help="blocks of the model")
    train.add_argument("--batches", type=int, help="batches of about 2,048 tokens a step")
    train.add_argument("--device", default="cpu")
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--smoke", action="store_true", help="a minute, into a temporary folder")
    train.set_defaults(run=_train)
    quality = commands.add_parser("quality", help="measure a model; prints the card's table")
    quality.add_argument("--model", type=Path, default=MODEL)
    quality.add_argument("--seed", type=int, default=1, help="the seed it was trained with")
    quality.add_argument("--chunks", type=int, default=10, help="the chunks of text training used")
    quality.add_argument("--count", type=int, default=200, help="stories and questions of a kind")
    quality.add_argument("--threads", type=int, default=2)
    quality.set_defaults(run=_quality)
    picture = commands.add_parser("picture", help="draw the strongest induction head")
    picture.add_argument("--model", type=Path, default=MODEL)
    picture.add_argument("--out", type=Path, default=Path("assets/induction.svg"))
    picture.set_defaults(run=_picture)
    sample = commands.add_parser("sample", help="show documents of the generator")
    sample.add_argument("--count", type=int, default=5)
    sample.add_argument("--seed", type=int, default=0)
    sample.set_defaults(run=_sample)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
