"""transformers: prefill, and generate with sampling.

    python torch_rollout.py FOLDER bfloat16|float32
"""

import sys

import torch
import transformers
from measuring import THREADS, openblas, random_tokens, report, seconds_of
from transformers import AutoModelForCausalLM

PROMPT, NEW = 64, 64


def main():
    folder, dtype = sys.argv[1:]
    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    model.generation_config.eos_token_id = None  # no sample ends early
    model.generation_config.pad_token_id = 0
    who = f"transformers {dtype}"
    settings = f"transformers {transformers.__version__}, torch {torch.__version__} (MKL, oneDNN)"
    if openblas():
        settings += f", unused: {openblas()}"
    for batch in (32, 1):
        tokens = torch.tensor([random_tokens(PROMPT, index, model.config.vocab_size) for index in range(batch)])
        mask = torch.ones_like(tokens)

        def prefill():
            with torch.inference_mode():
                model(input_ids=tokens, attention_mask=mask, use_cache=True, logits_to_keep=1)

        def generate(count):
            model.generate(
                input_ids=tokens, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                max_new_tokens=count)

        prefill()
        seconds = min(seconds_of(prefill) for _ in range(3))
        report(f"prefill {batch}", who, batch * PROMPT, seconds, settings)
        generate(4)
        # Without the first token, which the prefill gives.
        first = seconds_of(lambda: generate(1))
        seconds = seconds_of(lambda: generate(NEW)) - first
        report(f"decode {batch}", who, batch * (NEW - 1), seconds, settings)


main()
