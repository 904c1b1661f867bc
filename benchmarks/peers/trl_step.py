"""TRL's GRPOTrainer: whole steps of 4 prompts, 8 samples each, 64 tokens each.

    python trl_step.py FOLDER bf16|bf16-fp32-weights|stock

bf16: bf16 weights and autocast, fused AdamW, no activation checkpointing, and micro-batches of 8, which take the time of one
batch of 32 and less than half of its memory. bf16-fp32-weights: the same with fp32 weights, as one would train. stock: fp32 and
TRL's defaults.
"""

import os
import sys
import tempfile
import time

import torch
import transformers
import trl
from datasets import Dataset
from measuring import STEP, THREADS, openblas, report
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

STEPS = int(os.environ.get("BENCH_STEPS", "3"))  # the first one is not counted
TEXT = (
    "A farmer counts the apples of his trees every morning and writes the number into a book. On the first day there are "
    "twelve, on the second day seven more, and on the third day he sells half of them at the market in the next town. "
    "Then it rains for a week, and nobody counts anything until the sun comes back. Question %d: how many are left?"
)


class Clock(TrainerCallback):
    """Seconds of each step."""

    def __init__(self):
        self.seconds = []

    def on_step_begin(self, arguments, state, control, **rest):
        self.start = time.perf_counter()

    def on_step_end(self, arguments, state, control, **rest):
        self.seconds.append(time.perf_counter() - self.start)


def main():
    folder, kind = sys.argv[1:]
    prompts, prompt_length, samples, length = STEP
    torch.set_num_threads(THREADS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = []
    for index in range(prompts * STEPS):
        ids = tokenizer(TEXT % index, add_special_tokens=False)["input_ids"][-prompt_length:]
        texts.append(tokenizer.decode(ids))
    stock = kind == "stock"
    weights = "bfloat16" if kind == "bf16" else "float32"
    micro = prompts * samples if stock else samples
    options = {} if stock else dict(activation_checkpointing=False, optim="adamw_torch_fused")
    config = trl.GRPOConfig(
        output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=not stock, max_steps=STEPS, report_to=[], save_strategy="no",
        logging_strategy="no", disable_tqdm=True, per_device_train_batch_size=micro, gradient_accumulation_steps=prompts * samples // micro,
        num_generations=samples, max_completion_length=length, learning_rate=1e-7, beta=0.0, temperature=1.0,
        generation_kwargs={"min_new_tokens": length}, **options)
    clock = Clock()
    trainer = trl.GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, weights)),
        reward_funcs=lambda completions, **rest: [float(len(set(text)) % 7) for text in completions],
        args=config, train_dataset=Dataset.from_dict({"prompt": texts}), processing_class=tokenizer, callbacks=[clock])
    trainer.train()
    settings = f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    settings += f", {weights} weights"
    tuned = f", bf16 autocast, fused AdamW, no activation checkpointing, micro-batches of {micro}"
    settings += ", defaults" if stock else tuned
    if openblas():
        settings += f"; unused: {openblas()}"
    name = "stock fp32" if stock else kind
    p, t, g, c = STEP
    best = min(clock.seconds[1:])
    report(f"step {p} x {t} + {g} x {c}", f"TRL {name}", prompts * samples * length, best, settings)


main()
