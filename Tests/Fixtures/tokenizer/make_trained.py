"""Trains tokenizers with Hugging Face's BpeTrainer on the corpora below, and writes what came out and how it encodes strings.json.

    python make_trained.py

trained.json: for every corpus its texts, the size asked for, the tokens by id, the merges in order, and the ids of every text of
strings.json and of the corpus.
"""

import base64
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
ADDED = ["<|end|>", "<image>", "<think>", "</think>"]
PROSE = [
    "The optic disc is pale, and the cup-to-disc ratio is 0.8; the macula is flat. What is the most likely diagnosis?",
    "Micro-aneurysms and haemorrhages in 3 quadrants, cotton-wool spots, hard exudates: which grade is it, 0, 1, 2, 3 or 4?",
    "A. No diabetic retinopathy\nB. Mild\nC. Moderate\nD. Severe\nE. Proliferative diabetic retinopathy\n\nA. True\nB. False",
    "The photograph shows drusen at the macula, so the answer is age-related macular degeneration, not retinopathy.",
    "Größe, Straße, l'été; Быстрая лиса; 敏捷的狐狸。 def f(x):\n    return x + 1\n",
]


def runs():
    """Words of two letters: many ties, overlapping pairs, and tokens that two merges make."""
    rng = random.Random(3)
    words = ["".join(rng.choice("ab") for _ in range(rng.randint(1, 9))) for _ in range(400)]
    return [" ".join(words[i:i + 20]) for i in range(0, 400, 20)]


def main():
    texts = [base64.b64decode(t).decode("utf-8", "replace") for t in json.loads((HERE / "strings.json").read_text())]
    cases = []
    for corpus, size in ((PROSE * 3, 700), (runs(), 340), (["only once"], 400)):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=size, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[AddedToken(t, special=True, normalized=False) for t in ADDED]))
        model = json.loads(tokenizer.to_str())["model"]
        cases.append({
            "corpus": corpus, "size": size, "added": ADDED, "tokens": sorted(model["vocab"], key=model["vocab"].get),
            "merges": [m if isinstance(m, str) else " ".join(m) for m in model["merges"]],
            "ids": [tokenizer.encode(t, add_special_tokens=False).ids for t in texts],
            "corpus_ids": [tokenizer.encode(t, add_special_tokens=False).ids for t in corpus]})
    (HERE / "trained.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
