"""Makes the fixtures of this folder with the `gguf`, `safetensors` and `tokenizers` packages, independently of Fovea.

    python make.py files                                                  everything but the next
    python make.py default ../../../models/SmolLM2-135M-Instruct.Q4_1.gguf   default_model.json

Needs torch, safetensors, gguf, tokenizers, and ../model/tiny.
"""

import json
import os
import sys

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
TINY = os.path.join(HERE, "..", "model", "tiny")


def path(name):
    return os.path.join(HERE, name)


def checksum(values):
    """Depends on every bit of every fp32 scalar, and on their order."""
    bits = np.ascontiguousarray(values, dtype=np.float32).reshape(-1).view(np.uint32).astype(np.uint64)
    return str((bits * np.arange(1, bits.size + 1, dtype=np.uint64)).sum(dtype=np.uint64))


def write_json(name, value):
    with open(path(name), "w") as file:
        json.dump(value, file, indent=0, sort_keys=True)
        file.write("\n")


# dequantization.gguf, dequantization.f32: random blocks of every encoding, and what the reference makes of them.

# Where the fp16 scales of a block lie.
SCALES = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q6_K: [208]}
BLOCKS = {Type.Q4_0: (32, 18), Type.Q4_1: (32, 20), Type.Q8_0: (32, 34), Type.Q4_K: (256, 144), Type.Q6_K: (256, 210)}
SPECIAL_SCALES = np.array([0.0, -0.0, 6e-8, -3e-6, 65504, -1, np.inf, np.nan], dtype=np.float16)


def dequantization():
    random = np.random.default_rng(1)
    writer = GGUFWriter(path("dequantization.gguf"), "llama")
    expected = []
    for encoding, (scalars, block_bytes) in BLOCKS.items():
        blocks = random.integers(0, 256, (16, block_bytes), dtype=np.uint8)
        for start in SCALES[encoding]:
            scales = random.normal(0, 0.05, 16).astype(np.float16)
            scales[8:] = SPECIAL_SCALES
            blocks[:, start : start + 2] = scales.view(np.uint8).reshape(16, 2)
        blocks = blocks.reshape(4, 4 * block_bytes)
        writer.add_tensor(f"t.{encoding.name}", blocks, raw_dtype=encoding)
        expected.append(dequantize(blocks, encoding).astype(np.float32).reshape(-1))
    values = (random.normal(0, 1, (3, 40)) * 10.0 ** random.integers(-9, 5, (3, 40))).astype(np.float32)
    for encoding in [Type.F32, Type.F16, Type.BF16]:
        stored = quantize(values, encoding)
        writer.add_tensor(f"t.{encoding.name}", stored, raw_dtype=encoding)
        expected.append(dequantize(stored, encoding).astype(np.float32).reshape(-1))
    close(writer)
    np.concatenate(expected).tofile(path("dequantization.f32"))


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# values.safetensors, values.f32: every kind of number in every dtype.


def values():
    special = [0.0, -0.0, 1, -1, 1e-45, -1e-40, 1.17e-38, 3.4e38, float("inf"), float("-inf"), float("nan"), 1 / 3, 65504]
    halves = torch.arange(0, 1 << 16, 13, dtype=torch.int32).to(torch.uint16)
    tensors = {
        "f32": torch.tensor(special, dtype=torch.float32),
        "f16": halves.view(torch.float16).reshape(2, -1),
        "bf16": halves.clone().view(torch.bfloat16).reshape(1, -1, 1),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5, dtype=torch.bfloat16),
    }
    save_file(tensors, path("values.safetensors"), metadata={"format": "pt"})
    names = ["f32", "f16", "bf16", "scalar"]
    np.concatenate([tensors[n].float().reshape(-1).numpy() for n in names]).tofile(path("values.f32"))


# sharded/: the tiny model llama_gqa in three files and three dtypes; sharded/checksums.json: its parameters.


def sharded():
    os.makedirs(path("sharded"), exist_ok=True)
    tensors = load_file(os.path.join(TINY, "llama_gqa", "model.safetensors"))
    types = [torch.float32, torch.float16, torch.bfloat16]
    weight_map, checksums, total = {}, {}, 0
    for shard, dtype in enumerate(types):
        names = sorted(tensors)[shard::3]
        part = {name: tensors[name].to(dtype) for name in names}
        file = f"model-{shard + 1:05}-of-00003.safetensors"
        save_file(part, path(f"sharded/{file}"), metadata={"format": "pt"})
        for name in names:
            weight_map[name] = file
            checksums[name] = checksum(part[name].float().numpy())
            total += part[name].nbytes
    write_json("sharded/model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})
    write_json("sharded/checksums.json", checksums)


# NAME.gguf: tiny models of ../model/tiny as llama.cpp's converter would write them. tokenizer.json: their tokenizer.

NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHARACTERS = [chr(c) for c in range(33, 123)]
MERGES = [("a", "b"), ("c", "d"), ("ab", "cd")]
TOKENS = SPECIAL + CHARACTERS + ["ab", "cd", "abcd"]
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[part]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def pairs(weight, heads):
    """Rows (0, D/2), (1, D/2 + 1), ... of each head side by side."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def llama3_divisors(theta, head_size, factor, low, high, original):
    result = []
    for i in range(0, head_size, 2):
        wavelength = 2 * np.pi * theta ** (i / head_size)
        if wavelength < original / high:
            result.append(1.0)
        elif wavelength > original / low:
            result.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            result.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(result, dtype=np.float32)


def tiny(name):
    with open(os.path.join(TINY, name, "config.json")) as file:
        config = json.load(file)
    architecture, heads, kv_heads = config["model_type"], config["num_attention_heads"], config["num_key_value_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    writer = GGUFWriter(path(f"{name}.gguf"), architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_array("general.tags", ["test", "tiny"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges([" ".join(merge) for merge in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for tensor, weight in load_file(os.path.join(TINY, name, "model.safetensors")).items():
        weight = weight.numpy()
        if architecture == "llama" and ".q_proj." in tensor:
            weight = pairs(weight, heads)
        if architecture == "llama" and ".k_proj." in tensor:
            weight = pairs(weight, kv_heads)
        writer.add_tensor(gguf_name(tensor), np.ascontiguousarray(weight))
    if config.get("rope_scaling"):
        # The scaling of Llama 3.1, whatever the folder has: a GGUF file can hold only a published one.
        writer.add_tensor("rope_freqs.weight", llama3_divisors(theta, head_size, 8.0, 1.0, 4.0, 8192))
    close(writer)


def tokenizer():
    result = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(TOKENS)}, merges=MERGES))
    result.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    result.decoder = decoders.ByteLevel()
    result.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    result.save(path("tokenizer.json"))


# default_model.json: checksums of the default model's parameters under Hugging Face's names.


def default_model(file):
    sys.path.insert(0, os.path.join(HERE, "..", "model"))
    from gguf_llama import hugging_face_name, rotate_halves

    reader = GGUFReader(file)
    result = {}
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        for part, key in [(".attn_q.", "llama.attention.head_count"), (".attn_k.", "llama.attention.head_count_kv")]:
            if part in tensor.name:
                weight = rotate_halves(weight, reader.fields[key].contents())
        result[hugging_face_name(tensor.name)] = checksum(weight)
    write_json("default_model.json", result)


def main():
    match sys.argv[1:]:
        case ["files"]:
            dequantization()
            values()
            sharded()
            tokenizer()
            for name in ["llama_bias_untied", "llama3_scaling", "qwen2", "qwen3"]:
                tiny(name)
        case ["default", file]:
            default_model(file)
        case _:
            sys.exit(__doc__)


main()
