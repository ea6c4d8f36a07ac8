"""A small CNN in plain PyTorch, live in IMTS: `python -m examples.vision` prints the run and where to watch it."""

import argparse
from collections.abc import Iterator

import torch
from torch import Tensor, nn

import imts

SHAPES = ("bar across", "bar down", "square", "cross")
_SIZE = 16


def images(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy pictures of four shapes, each at a place of its own."""
    labels = torch.randint(len(SHAPES), (count,), generator=generator)
    pictures = torch.rand(count, 1, _SIZE, _SIZE, generator=generator) * 0.5
    corners = torch.randint(1, _SIZE - 8, (count, 2), generator=generator)
    for picture, label, (top, left) in zip(pictures, labels.tolist(), corners.tolist(), strict=True):
        patch = picture[0, top : top + 7, left : left + 7]
        if label in (0, 3):
            patch[3, :] += 0.8
        if label in (1, 3):
            patch[:, 3] += 0.8
        if label == 2:
            patch[[0, -1], :] += 0.8
            patch[:, [0, -1]] += 0.8
    return pictures, labels


def network() -> nn.Module:
    """Two convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(2),
        nn.Flatten(), nn.Linear(128, len(SHAPES)),
    )  # fmt: skip


def batches(pictures: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The pictures in a new order."""
    for chosen in torch.randperm(len(labels)).split(size):
        yield pictures[chosen], labels[chosen]


def accuracy(model: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """Share of the pictures that are named rightly."""
    with torch.no_grad():
        return float((model(pictures).argmax(1) == labels).float().mean())


def train(run: imts.Run, epochs: int, count: int = 2_048, size: int = 32) -> float:
    """Train, logging each step; the accuracy on pictures it never saw comes back."""
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(7)
    pictures, labels = images(count, generator)
    unseen = images(512, generator)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    total = epochs * -(-count // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    step = 0
    for epoch in range(1, epochs + 1):
        for inputs, wanted in batches(pictures, labels, size):
            step += 1
            outputs = model(inputs)
            loss = nn.functional.cross_entropy(outputs, wanted)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            run.log({
                "epoch": epoch, "total_steps": total, "train_loss": loss, "learning_rate": schedule.get_last_lr()[0],
                "train_accuracy": (outputs.argmax(1) == wanted).float().mean(),
                "advanced_metrics": {"gradient_norm": norm},
            }, step=step)  # fmt: skip
            optimizer.step()
            schedule.step()
        run.log({"val_accuracy": accuracy(model, *unseen)}, step=step)
        run.event("epoch_completed", {"epoch": epoch, "val_accuracy": accuracy(model, *unseen)})
    return accuracy(model, *unseen)


def main() -> None:
    """Parse, train, say how it went."""
    parser = argparse.ArgumentParser(prog="python -m examples.vision", description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with imts.start(name="vision", project="examples", config={"epochs": options.epochs, "model": "cnn"}) as run:
        print(f"watch it with: imts watch {run.run_id}", flush=True)
        print(f"accuracy on unseen pictures: {train(run, options.epochs):.3f}")


if __name__ == "__main__":
    main()
