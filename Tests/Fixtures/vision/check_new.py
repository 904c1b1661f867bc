"""Opens models that Fovea made from nothing in transformers, and compares what both compute for the same chat.

    python check_new.py FOLDER_OF_FOLDERS

Beside each folder: NAME.json with the content of one user turn, the prompt's tokens, a completion, and the log-probability and
entropy of each of its tokens; NAME.png, the turn's image, if the model sees.
"""

import json
import os
import sys

import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoProcessor, AutoTokenizer, LlavaForConditionalGeneration


def main():
    for name in sorted(n for n in os.listdir(sys.argv[1]) if os.path.isdir(os.path.join(sys.argv[1], n))):
        folder = os.path.join(sys.argv[1], name)
        with open(folder + ".json") as file:
            ours = json.load(file)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": ours["content"]}], tokenize=False, add_generation_prompt=True)
        sees = "<image>" in text
        family = LlavaForConditionalGeneration if sees else AutoModelForCausalLM
        model, report = family.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        problems = {key: value for key, value in report.items() if value}
        if problems:
            sys.exit(f"{name}: {problems}")
        if sees:
            image = Image.open(folder + ".png").convert("RGB")
            inputs = dict(AutoProcessor.from_pretrained(folder)(text=text, images=image, return_tensors="pt"))
        else:
            inputs = dict(tokenizer(text, return_tensors="pt"))
        inputs = {key: inputs[key] for key in ("input_ids", "pixel_values") if key in inputs}
        if inputs["input_ids"][0].tolist() != ours["tokens"]:
            sys.exit(f"{name}: tokens {inputs['input_ids'][0].tolist()} in transformers, {ours['tokens']} in Fovea")
        completion = torch.tensor(ours["completion"])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], completion[None]], 1)
        with torch.no_grad():
            logits = model.eval()(**inputs).logits[0, -len(completion) - 1:-1].double()
        log_p = torch.log_softmax(logits, -1)
        theirs = {"logProbabilities": log_p.gather(1, completion[:, None])[:, 0], "entropies": -(log_p.exp() * log_p).sum(-1)}
        worst = max((torch.tensor(ours[key]).double() - value).abs().max().item() for key, value in theirs.items())
        if worst > 1e-4:
            sys.exit(f"{name}: differs by {worst}")
        print(f"{name} opens in transformers: equal tokens, largest difference {worst:.1e} nats")


main()
