"""supervised/: one step of supervised training of tiny/llama_gqa by autograd, in fp64. Run by make.py.

supervised.json        prompts and completions, the loss, the gradient's norm, the optimizer's settings
gradients.safetensors  d loss / d every parameter
updated.safetensors    the parameters after one update of torch.optim.AdamW

The loss is torch's cross_entropy with the prompt's labels ignored, on right-padded rows: what other trainers do, and by
another way than Fovea's, which packs rows and computes no logits of the prompt.
"""

import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

ADAMW = dict(learningRate=0.01, beta1=0.9, beta2=0.99, epsilon=1e-8, weightDecay=0.1, gradientClip=0.5)
LENGTHS = ((5, 9), (1, 1), (17, 3), (8, 14))


def make(model_folder, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config = AutoConfig.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    model.load_state_dict(load_file(os.path.join(model_folder, "model.safetensors")), strict=False)
    model.tie_weights()
    model = model.double()
    generator = torch.Generator().manual_seed(11)
    draw = lambda n: torch.randint(0, config.vocab_size, (n,), generator=generator).tolist()
    examples = [{"prompt": draw(p), "completion": draw(c)} for p, c in LENGTHS]

    width = max(p + c for p, c in LENGTHS)
    tokens = torch.zeros(len(examples), width, dtype=torch.long)
    labels = torch.full_like(tokens, -100)
    mask = torch.zeros_like(tokens)
    for row, example in enumerate(examples):
        prompt, completion = example["prompt"], example["completion"]
        count = len(prompt) + len(completion)
        tokens[row, :count] = torch.tensor(prompt + completion)
        labels[row, len(prompt) : count] = torch.tensor(completion)
        mask[row, :count] = 1
    logits = model(tokens, attention_mask=mask).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    gradients = {n: p.grad.detach().clone() for n, p in model.named_parameters()}
    norm = torch.cat([g.flatten() for g in gradients.values()]).norm().item()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=ADAMW["learningRate"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["epsilon"],
        weight_decay=ADAMW["weightDecay"],
    )
    torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["gradientClip"])
    optimizer.step()

    save = lambda tensors, name: save_file(
        {n: t.detach().float().contiguous() for n, t in tensors.items()}, os.path.join(folder, name)
    )
    save(gradients, "gradients.safetensors")
    save(dict(model.named_parameters()), "updated.safetensors")
    with open(os.path.join(folder, "supervised.json"), "w") as file:
        json.dump(
            {"examples": examples, "loss": loss.item(), "gradientNorm": norm, "adamw": ADAMW}, file,
            separators=(",", ":"),
        )
    print(f"loss {loss.item():.5f}, gradient norm {norm:.4f}")
