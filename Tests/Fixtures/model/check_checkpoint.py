"""Opens a model folder that Fovea saved in transformers, and compares what both compute for the same text.

    python check_checkpoint.py FOLDER SCORES.json

SCORES.json says what Fovea computed: "tokens", and any of "log_probabilities" and "entropies" (nats, of every token but
the first) and "last_logits" (of the last position); camelCase names are read too. FOLDER.txt, or --text, is the text of the tokens: the folder's tokenizer
must give the same ids. The figures must agree within 1e-3, which fp32 keeps (--tolerance for bf16).
"""

import argparse
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("scores")
    parser.add_argument("--text", help="the scored file: the folder's tokenizer must give the same ids")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()

    with open(arguments.scores) as file:
        ours = json.load(file)
    model = AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.float32).eval()
    ids = ours["tokens"]
    text_file = arguments.text or arguments.folder.rstrip("/") + ".txt"
    if arguments.text or os.path.exists(text_file):
        with open(text_file) as file:
            text = file.read()
        theirs = AutoTokenizer.from_pretrained(arguments.folder)(text, add_special_tokens=False)["input_ids"]
        if theirs[: len(ids)] != ids:
            sys.exit(f"token ids differ: {theirs[:8]}... in transformers, {ids[:8]}... in Fovea")
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
        log_p = torch.log_softmax(logits.double(), -1)
    expected = {
        "log_probabilities": log_p[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0],
        "entropies": -(log_p.exp() * log_p).sum(-1)[:-1],
        "last_logits": logits[-1],
    }
    worst = 0.0
    camel_case = {"log_probabilities": "logProbabilities", "last_logits": "lastLogits"}
    for name, theirs in expected.items():
        if camel_case.get(name) in ours:
            ours[name] = ours[camel_case[name]]
        if name not in ours:
            continue
        mine = torch.tensor(ours[name], dtype=torch.float64)
        if len(mine) != len(theirs):
            sys.exit(f"{name}: {len(mine)} values, expected {len(theirs)}")
        difference = (mine - theirs).abs().max().item()
        worst = max(worst, difference)
        print(f"{name}: {len(mine)} values, largest difference {difference:.2e}")
    print(f"{arguments.folder} opens in transformers; {len(ids)} tokens; largest difference {worst:.2e}")
    sys.exit(0 if worst <= arguments.tolerance else 1)


main()
