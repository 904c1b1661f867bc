"""A training step in PyTorch: policy gradient on given samples, AdamW; fp32 master weights.

    python torch_training.py FOLDER plain|prompt bfloat16|float32

plain: 16 sequences of 128 tokens after a first one. prompt: 4 prompts of 512 tokens, 8 samples of 64 each, where the prompt is
computed for every sample. No logits of prompt tokens are computed, and nothing of the last token.
"""

import sys

import torch
import torch.nn.functional as F
import transformers
from measuring import THREADS, random_tokens, report, seconds_of
from transformers import AutoModelForCausalLM

SHAPES = {  # what: prompts, prompt, samples, completion, sequences of a micro-batch, micro-batches before, steps to time
    "plain": ("learner 16 x 1 + 1 x 128", 16, 1, 1, 128, 16, 2, 3),
    "prompt": ("learner 4 x 512 + 8 x 64", 4, 512, 8, 64, 4, 1, 1),
}


def main():
    folder, shape, dtype = sys.argv[1:]
    what, prompts, prompt, samples, completion, micro, warm_up, repeats = SHAPES[shape]
    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-7, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    vocabulary = model.config.vocab_size
    rows = []
    for index in range(prompts):
        head = random_tokens(prompt, 1000 + index, vocabulary)
        rows += [head + random_tokens(completion, 2000 + index * samples + i, vocabulary) for i in range(samples)]
    tokens = torch.tensor(rows)
    advantages = torch.tensor([1.0 if index % 2 == 0 else -1.0 for index in range(len(rows))])

    def step(tokens):
        for begin in range(0, len(tokens), micro):
            part = tokens[begin : begin + micro]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
                logits = model(input_ids=part[:, :-1], logits_to_keep=completion).logits
            targets = part[:, -completion:]
            loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
            (loss.view(targets.shape).mean(1) * advantages[begin : begin + micro]).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    settings = f"torch {torch.__version__}, transformers {transformers.__version__}, fused AdamW, micro-batches of {micro}"
    for _ in range(warm_up):
        step(tokens[:micro])  # allocates: the first micro-batches are slower
    seconds = min(seconds_of(lambda: step(tokens)) for _ in range(repeats))
    report(what, f"PyTorch {dtype}", len(rows) * (prompt + completion), seconds, settings)


main()
