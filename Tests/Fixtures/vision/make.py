"""NAME: small random vision-language models as Hugging Face folders; what they say of images; and their gradients.

Structure is whole, sizes are cut. Everything is computed in fp64 and stored as fp32. NAME/expected.safetensors holds groups of
one prompt with images and its completions, and the logits that predict each completion token; NAME/gradients is a folder of
the same model whose parameters are the gradients of the sum over completion tokens t of c_t log p_t (temperature 1),
c_t = ((5 t + 3 i) mod 11 - 5) / 8 for completion i of its group.

    python make.py [NAME ...]
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = 95
TEXT = dict(
    vocab_size=96, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
    num_key_value_heads=1, head_dim=8, max_position_embeddings=128, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
    rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
)
TOWER = dict(hidden_size=16, intermediate_size=28, num_attention_heads=2, num_hidden_layers=2)

VARIANTS = {
    "llava_siglip": (
        LlavaForConditionalGeneration,
        LlavaConfig(
            vision_config=TOWER
            | dict(model_type="siglip_vision_model", image_size=24, patch_size=8, vision_use_head=False),
            text_config=TEXT | dict(model_type="llama", tie_word_embeddings=True),
            vision_feature_layer=-1, vision_feature_select_strategy="full", image_token_id=IMAGE,
            tie_word_embeddings=True,
        ),
        [[(24, 24), (24, 24)], [(24, 24)], []],
    ),
    "llava_clip": (
        LlavaForConditionalGeneration,
        LlavaConfig(
            vision_config=TOWER
            | dict(model_type="clip_vision_model", image_size=24, patch_size=8, num_hidden_layers=3, projection_dim=16),
            text_config=TEXT | dict(model_type="llama", tie_word_embeddings=False),
            vision_feature_layer=-2, vision_feature_select_strategy="default", image_token_id=IMAGE,
            tie_word_embeddings=False,
        ),
        [[(24, 24), (24, 24)], [(24, 24)], []],
    ),
    "qwen2_5_vl": (
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLConfig(
            vision_config=dict(
                depth=3, hidden_size=16, intermediate_size=28, num_heads=2, patch_size=4, spatial_merge_size=2,
                temporal_patch_size=2, window_size=16, out_hidden_size=24, fullatt_block_indexes=[1],
            ),
            text_config=TEXT
            | dict(
                model_type="qwen2_5_vl_text", tie_word_embeddings=False,
                rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]},
            ),
            image_token_id=IMAGE, video_token_id=62, vision_start_token_id=61, vision_end_token_id=60,
            tie_word_embeddings=False,
        ),
        [[(24, 16), (16, 32)], [(40, 24)], []],
    ),
    "internvl": (
        InternVLForConditionalGeneration,
        InternVLConfig(
            vision_config=TOWER
            | dict(image_size=[16, 16], patch_size=[4, 4], attention_bias=True, layer_scale_init_value=0.1),
            text_config=TEXT | dict(model_type="qwen2", tie_word_embeddings=True),
            image_token_id=IMAGE, tie_word_embeddings=True,
        ),
        # tiles: the first image has one, the second three
        [[(16, 16)] * 4, [(16, 16)], []],
    ),
    "internvl_rms": (
        InternVLForConditionalGeneration,
        InternVLConfig(
            vision_config=TOWER
            | dict(
                image_size=[16, 16], patch_size=[4, 4], norm_type="rms_norm", use_qk_norm=True, use_mean_pooling=False,
            ),
            text_config=TEXT | dict(model_type="qwen2", tie_word_embeddings=False),
            image_token_id=IMAGE, tie_word_embeddings=False,
        ),
        [[(16, 16)] * 4, [(16, 16)], []],
    ),
}


def randomized(model, seed):
    """Weights large enough that attention is far from uniform and no two parts cancel."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            if "norm" in name or "ln_q" in name:
                parameter.copy_((1 if name.endswith("weight") else 0) + 0.3 * noise)
            elif name.endswith("bias") or "lambda" in name:
                parameter.copy_(0.3 * noise)
            elif "embed_tokens" in name or "position" in name or "class" in name or "cls" in name:
                parameter.copy_(0.6 * noise)
            else:
                parameter.copy_(1.5 * noise / parameter[0].numel() ** 0.5)
    return model


def feature_count(config, height, width):
    if config.model_type == "llava":
        return (height // config.vision_config.patch_size) * (width // config.vision_config.patch_size)
    if config.model_type == "internvl":
        patch = config.vision_config.patch_size[0] * 2
    else:
        patch = config.vision_config.patch_size * config.vision_config.spatial_merge_size
    return (height // patch) * (width // patch)


def qwen_patches(image, vision):
    """[3, H, W] as [patches, 3 * 2 * P * P], patches that merge side by side."""
    p, m, t = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    rows, columns = image.shape[1] // p, image.shape[2] // p
    x = image.reshape(3, rows // m, m, p, columns // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
    x = x[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, t, -1, -1)
    return x.reshape(rows * columns, -1), (1, rows, columns)


def inputs(config, images):
    if not images:
        return {}
    if config.model_type != "qwen2_5_vl":
        return {"pixel_values": torch.stack(images).double()}
    patches, grids = zip(*(qwen_patches(image, config.vision_config) for image in images))
    return {"pixel_values": torch.cat(patches).double(), "image_grid_thw": torch.tensor(grids)}


def make(name, seed):
    target = os.path.join(HERE, name)
    shutil.rmtree(target, ignore_errors=True)
    model_class, config, groups = VARIANTS[name]
    config._attn_implementation = "eager"
    model = randomized(model_class(config), seed).eval()
    model.save_pretrained(target)

    generator = torch.Generator().manual_seed(100 + seed)
    exact = model.double()
    expected = {}
    total = 0
    for g, sizes in enumerate(groups):
        images = [torch.randn(3, h, w, generator=generator) for h, w in sizes]
        prompt = torch.randint(3, 60, (3,), generator=generator).tolist()
        for index, image in enumerate(images):
            expected[f"{g}.image.{index}"] = image
            prompt += [IMAGE] * feature_count(config, *image.shape[1:])
            if config.model_type != "internvl" or index in (0, len(images) - 1):
                prompt += torch.randint(3, 60, (2,), generator=generator).tolist()
        prompt += torch.randint(3, 60, (2,), generator=generator).tolist()
        expected[f"{g}.prompt"] = torch.tensor(prompt, dtype=torch.int32)
        for i in range(2 if g == 0 else 1):
            completion = torch.randint(3, 60, (4 + 3 * i,), generator=generator)
            expected[f"{g}.completion.{i}"] = completion.to(torch.int32)
            tokens = torch.cat([torch.tensor(prompt), completion])[None]
            extra = inputs(config, images)
            if config.model_type == "qwen2_5_vl" and images:
                extra["mm_token_type_ids"] = (tokens == IMAGE).int()
            logits = exact(tokens, use_cache=False, **extra).logits[0, len(prompt) - 1 : -1]
            log_p = torch.log_softmax(logits, -1).gather(1, completion[:, None])[:, 0]
            c = torch.tensor([((5 * t + 3 * i) % 11 - 5) / 8 for t in range(len(completion))], dtype=torch.float64)
            total = total + (c * log_p).sum()
            expected[f"{g}.logits.{i}"] = logits.detach().float()
    total.backward()
    save_file({k: v.contiguous() for k, v in expected.items()}, os.path.join(target, "expected.safetensors"))
    gradients = model_class(config)
    with torch.no_grad():
        for (n, p), (_, q) in zip(gradients.named_parameters(), exact.named_parameters(), strict=True):
            p.copy_(q.grad if q.grad is not None else torch.zeros_like(q))
    gradients.save_pretrained(os.path.join(target, "gradients"))
    for folder in (target, os.path.join(target, "gradients")):
        for file in os.listdir(folder):
            if file == "generation_config.json":
                os.remove(os.path.join(folder, file))
    os.remove(os.path.join(target, "gradients", "config.json"))
    count = sum(p.numel() for p in gradients.parameters())
    print(f"{name}: {count} parameters, logits spread {expected['0.logits.0'].std():.2f}")


if __name__ == "__main__":
    for seed, name in enumerate(VARIANTS, start=1):
        if not sys.argv[1:] or name in sys.argv[1:]:
            make(name, seed)
