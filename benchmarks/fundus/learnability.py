"""How well the basic questions of synthetic-fundus are answered from pixels, by readers that learn from labelled images.

    fovea fundus TRAIN --size 64 --count 30000 --seed 1
    fovea fundus TEST --size 64 --count 6000 --seed 2
    python learnability.py TRAIN TEST --reader linear|convolutional|patches

A reader predicts the facts of an image: kinds of lesions, eye, large cup, and, where a row's question asks for it, grade, count and
condition. Questions are then answered from the predicted facts. What it prints is therefore the most that the images give a
reader of its size, not what a policy that must also read and write reaches.
Synthetic; not for clinical use.
"""

import argparse
import json
import pathlib
import re
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

KINDS = [
    "microaneurysms", "blot haemorrhages", "flame haemorrhages", "exudates", "cotton-wool spots", "drusen", "new vessels",
]
CONDITIONS = ["normal", "diabetic retinopathy", "glaucoma", "macular degeneration", "hypertensive retinopathy"]
# Facts of every row, then the classes of the questions that have heads of their own.
FACTS = len(KINDS) + 2
HEADS = {"grade": 5, "count": 4, "condition": 5}
CHANCE = {
    "presence": 1 / 2, "large_cup": 1 / 2, "right_eye": 1 / 2, "which_lesion": 1 / 4, "grade": 1 / 5, "count": 1 / 4,
    "lesions": 1 / 15, "condition": 1 / 5, "lesion_name": 1 / 7,
}  # fmt: skip


def load(folder):
    folder = pathlib.Path(folder)
    rows = json.loads((folder / "data.json").read_text())
    images = np.stack([np.asarray(Image.open(folder / row["image"][0])) for row in rows])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), rows


def facts(row):
    caption = row["caption"]
    cup = float(re.search(r"cup (0\.\d)", caption)[1])
    return [float(kind in caption) for kind in KINDS] + [float("right eye" in caption), float(cup > 0.6)]


def own_class(row):
    """(head, class) of a question that has a head of its own."""
    answer = row["conversations"][1]["value"]
    match row["family"]:
        case "grade" | "count":
            return row["family"], ord(answer) - ord("A")
        case "condition":
            return "condition", CONDITIONS.index(answer)
    return None


def answer(row, facts, classes):
    """What the predicted facts answer."""
    question = row["conversations"][0]["value"]
    stem, *options = question.split("\n")
    options = [option[3:] for option in options]
    score = dict(zip(KINDS + ["right eye", "large cup"], facts))
    letter = lambda is_true: "A" if is_true else "B"
    match row["family"]:
        case "presence":
            return letter(next(score[kind] for kind in KINDS if kind in stem) > 0)
        case "right_eye":
            return letter(score["right eye"] > 0)
        case "large_cup":
            return letter(score["large cup"] > 0)
        case "which_lesion":
            return chr(ord("A") + max(range(4), key=lambda i: score[options[i]]))
        case "lesions":
            return ",".join(chr(ord("A") + i) for i in range(4) if score[options[i]] > 0)
        case "lesion_name":
            return max(KINDS, key=score.get)
        case "condition":
            return CONDITIONS[classes["condition"]]
        case head:
            return chr(ord("A") + classes[head])


class Patches(nn.Module):
    """A vision transformer on 8 x 8 patches, as the policy's encoder is."""

    def __init__(self, size, outputs, width=96, depth=4):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 8, stride=8)
        self.position = nn.Parameter(torch.randn(1, (size // 8) ** 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.layers(x).amax(1))


def reader(name, size, outputs):
    if name == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, outputs))
    if name == "patches":
        return Patches(size, outputs)
    layers = []
    for inputs, channels in [(3, 24), (24, 48), (48, 96)]:
        layers += [nn.Conv2d(inputs, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    hidden = 96 * (size // 8) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(hidden, 128), nn.ReLU(), nn.Linear(128, outputs))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--reader", default="convolutional", choices=["linear", "convolutional", "patches"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=2e-3)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    started = time.time()
    (images, rows), (test_images, test_rows) = load(arguments.train), load(arguments.test)
    targets = torch.tensor([facts(row) for row in rows])
    own = {head: torch.full((len(rows),), -100) for head in HEADS}
    for index, row in enumerate(rows):
        if (label := own_class(row)) is not None:
            own[label[0]][index] = label[1]

    model = reader(arguments.reader, images.shape[-1], FACTS + sum(HEADS.values()))
    batch = 128
    steps = arguments.epochs * (len(rows) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, total_steps=steps)
    pixels = lambda part: (part.float() - 90) / 64
    split = lambda output: output.split([FACTS, *HEADS.values()], dim=1)
    print(f"{arguments.reader}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(rows)} images")
    for step in range(steps):
        if step % (len(rows) // batch) == 0:
            order = torch.randperm(len(rows))
        chosen = order[(step * batch) % (len(rows) // batch * batch):][:batch]
        known, *classes = split(model(pixels(images[chosen])))
        loss = F.binary_cross_entropy_with_logits(known, targets[chosen])
        for head, output in zip(HEADS, classes):
            labels = own[head][chosen]
            if (labels >= 0).any():
                loss = loss + 0.1 * F.cross_entropy(output, labels, ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    model.eval()
    right = {family: [] for family in CHANCE}
    fact_right = []
    with torch.no_grad():
        for start in range(0, len(test_rows), 500):
            known, *classes = split(model(pixels(test_images[start:start + 500])))
            classes = {head: output.argmax(1) for head, output in zip(HEADS, classes)}
            for index, row in enumerate(test_rows[start:start + 500]):
                fact_right.append([float((p > 0) == (t > 0)) for p, t in zip(known[index].tolist(), facts(row))])
                if row["family"] in CHANCE:
                    given = answer(row, known[index].tolist(), {head: int(c[index]) for head, c in classes.items()})
                    right[row["family"]].append(given == row["conversations"][1]["value"])
    for name, value in zip(KINDS + ["right eye", "large cup"], np.mean(fact_right, axis=0)):
        print(f"  {name:20} {value:.3f}")
    for family, values in right.items():
        print(f"  {family:14} chance {CHANCE[family]:.2f}  {np.mean(values):.3f}  of {len(values)}")
    every = [value for values in right.values() for value in values]
    print(f"  all basic {np.mean(every):.3f}, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
