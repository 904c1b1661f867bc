"""NAME: adapters that PEFT makes for the tiny models of ../model and ../vision, what these then say, and their gradients.

A and B are random, since PEFT's own B is zero, as is then the gradient of A. NAME is a folder as PEFT saves it, with "base" as
its base; NAME/expected.safetensors holds the log-probability of every completion token of the base's groups (those of a model of
text stand here, as in ../vision); NAME/gradients.safetensors is an adapter whose A and B are the gradients of the sum over completion tokens t of
c_t log p_t (temperature 1), c_t = ((5 t + 3 i) mod 11 - 5) / 8 for completion i of its group. Everything is computed in fp64.

    python make_adapters.py [NAME ...]        needs ../model/requirements.txt
"""

import json
import os
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../vision"))
from make import IMAGE, inputs  # noqa: E402

BASES = {
    "llama_gqa": "../model/tiny/llama_gqa",
    "llava_siglip": "../vision/llava_siglip",
    "llava_clip": "../vision/llava_clip",
    "qwen2_5_vl": "../vision/qwen2_5_vl",
    "internvl": "../vision/internvl",
}
ADAPTERS = {
    "llama_gqa": dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"),
    "llava_siglip": dict(r=4, lora_alpha=6, target_modules="all-linear", use_rslora=True),
    "llava_clip": dict(r=2, lora_alpha=4, target_modules=["k_proj", "fc1", "linear_2", "gate_proj"]),
    "qwen2_5_vl": dict(r=2, lora_alpha=3, target_modules="all-linear"),
    "internvl": dict(r=2, lora_alpha=2, target_modules="all-linear"),
}


def base_model(name):
    folder = os.path.join(HERE, BASES[name])
    family = AutoModelForCausalLM if name == "llama_gqa" else AutoModelForImageTextToText
    return family.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def groups(name):
    """(prompt, images, completions) of each group."""
    if name == "llama_gqa":
        generator = torch.Generator().manual_seed(7)
        draw = lambda n: torch.randint(3, 96, (n,), generator=generator).tolist()
        return [(draw(9), [], [draw(6), draw(11)]), (draw(17), [], [draw(5)])]
    stored = load_file(os.path.join(HERE, BASES[name], "expected.safetensors"))
    numbered = lambda prefix: [stored[f"{prefix}.{i}"] for i in range(9) if f"{prefix}.{i}" in stored]
    return [
        (stored[f"{g}.prompt"].tolist(), numbered(f"{g}.image"), [c.tolist() for c in numbered(f"{g}.completion")])
        for g in range(9) if f"{g}.prompt" in stored
    ]


def log_probabilities(model, config, prompt, images, completion):
    tokens = torch.tensor(prompt + completion)[None]
    extra = inputs(config, images)
    if config.model_type == "qwen2_5_vl" and images:
        extra["mm_token_type_ids"] = (tokens == IMAGE).int()
    logits = model(input_ids=tokens, use_cache=False, **extra).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def make(name, seed):
    target = os.path.join(HERE, name)
    shutil.rmtree(target, ignore_errors=True)
    model = get_peft_model(base_model(name), LoraConfig(**ADAPTERS[name]))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5)
    model.save_pretrained(target)
    os.remove(os.path.join(target, "README.md"))
    path = os.path.join(target, "adapter_config.json")
    with open(path) as file:
        config = json.load(file)
    config["base_model_name_or_path"] = "base"
    config["target_modules"].sort()
    with open(path, "w") as file:
        json.dump(config, file, indent=1, sort_keys=True)

    exact = model.double()
    expected = {}
    total = 0
    for g, (prompt, images, completions) in enumerate(groups(name)):
        if name == "llama_gqa":
            expected[f"{g}.prompt"] = torch.tensor(prompt, dtype=torch.int32)
        for i, completion in enumerate(completions):
            if name == "llama_gqa":
                expected[f"{g}.completion.{i}"] = torch.tensor(completion, dtype=torch.int32)
            log_p = log_probabilities(exact, exact.config, prompt, images, completion)
            c = torch.tensor([((5 * t + 3 * i) % 11 - 5) / 8 for t in range(len(completion))], dtype=torch.float64)
            total = total + (c * log_p).sum()
            expected[f"{g}.logp.{i}"] = log_p.detach().float()
    total.backward()
    gradients = {}
    for key, parameter in exact.named_parameters():
        if "lora_" in key:
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            gradients[key] = gradient.float().contiguous()
    save_file(get_peft_model_state_dict(exact, state_dict=gradients), os.path.join(target, "gradients.safetensors"))
    save_file({k: v.contiguous() for k, v in expected.items()}, os.path.join(target, "expected.safetensors"))
    print(f"{name}: {sum(p.numel() for p in gradients.values())} scalars in {len(gradients)} tensors")


if __name__ == "__main__":
    for seed, name in enumerate(ADAPTERS, start=1):
        if not sys.argv[1:] or name in sys.argv[1:]:
            make(name, seed)
