"""tiny/NAME: small random models as Hugging Face folders, and their logits. Run by make.py.

Weights are fp32; the logits are computed in fp64 and stored as fp32. Every variant has 96 tokens, a width of 32 and two
layers; between them they have all that Fovea's decoder knows.
"""

import json
import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

COMMON = dict(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=2,
    attn_implementation="eager",
    dtype="float32",
)
PLAIN = {"rope_type": "default", "rope_theta": 10_000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

VARIANTS = {
    "llama_gqa": (LlamaForCausalLM, LlamaConfig, dict(head_dim=8, tie_word_embeddings=True, rope_parameters=PLAIN)),
    "llama_bias_untied": (
        LlamaForCausalLM,
        LlamaConfig,
        dict(
            head_dim=16, num_attention_heads=2, num_key_value_heads=1, attention_bias=True, mlp_bias=True,
            tie_word_embeddings=False, rope_parameters=PLAIN,
        ),
    ),
    "llama3_scaling": (LlamaForCausalLM, LlamaConfig, dict(head_dim=16, tie_word_embeddings=False, rope_parameters=LLAMA3)),
    "qwen2": (
        Qwen2ForCausalLM,
        Qwen2Config,
        dict(tie_word_embeddings=True, rope_parameters=PLAIN | {"rope_theta": 1e6}, use_sliding_window=False),
    ),
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config,
        dict(
            head_dim=16, tie_word_embeddings=False, rope_parameters=PLAIN | {"rope_theta": 1e6}, use_sliding_window=False
        ),
    ),
}
# Lengths of the sequences whose logits are kept.
LENGTHS = (1, 9, 40)


def randomized(model, seed):
    """Weights large enough that attention is far from uniform and no two parts cancel."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            if "norm" in name:
                parameter.copy_(1 + 0.3 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                parameter.copy_(0.6 * noise)
            else:
                parameter.copy_(1.5 * noise / parameter.shape[1] ** 0.5)
    return model


def classic_config(config):
    """config.json as it is written in most published folders: rope_theta and rope_scaling at the top, torch_dtype."""
    values = json.loads(config.to_json_string(use_diff=False))
    rope = values.pop("rope_parameters")
    keep = [
        "architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps",
        "tie_word_embeddings", "attention_bias", "mlp_bias", "hidden_act", "bos_token_id", "eos_token_id",
    ]
    result = {key: values[key] for key in keep if values.get(key) is not None}
    result["rope_theta"] = rope.pop("rope_theta")
    result["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    return result | {"torch_dtype": "float32"}


@torch.no_grad()
def make(folder):
    shutil.rmtree(folder, ignore_errors=True)
    for seed, (name, (model_class, config_class, changes)) in enumerate(VARIANTS.items(), start=1):
        target = os.path.join(folder, name)
        os.makedirs(target)
        config = config_class(**(COMMON | changes))
        model = randomized(model_class(config), seed).eval()
        config.architectures = [model_class.__name__]
        # One folder has the newer keys, as transformers 5 saves them.
        if name == "qwen3":
            config.save_pretrained(target)
        else:
            with open(os.path.join(target, "config.json"), "w") as file:
                json.dump(classic_config(config), file, indent=1)
        weights = {n: p.detach().clone().contiguous() for n, p in model.named_parameters()}
        save_file(weights, os.path.join(target, "model.safetensors"), metadata={"format": "pt"})

        generator = torch.Generator().manual_seed(100 + seed)
        exact = model.double()
        expected = {}
        for length in LENGTHS:
            tokens = torch.randint(0, config.vocab_size, (length,), generator=generator)
            expected[f"tokens.{length}"] = tokens.to(torch.int32)
            expected[f"logits.{length}"] = exact(tokens[None]).logits[0].float()
        save_file(expected, os.path.join(target, "expected.safetensors"))
        count = sum(p.numel() for p in weights.values())
        spread = expected[f"logits.{LENGTHS[-1]}"].std().item()
        print(f"{name}: {count} parameters, logits spread {spread:.2f}")
