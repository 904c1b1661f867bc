"""What transformers' processors make of chats with pictures: token ids and pixels.

Needs numpy, pillow==11.3.0, tokenizers and transformers. Run in this folder: python make_prompts.py
Writes prompts.json: for each family the model's small files, and cases of messages, pictures (PNG in base64), token ids and
pixels (base64 of little-endian float32). "<image>" stands for a picture in our chats; the script writes each family's own.
"""

import base64
import io
import json
import pathlib

import numpy as np
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import InternVLProcessor, LlavaProcessor, PreTrainedTokenizerFast, Qwen2_5_VLProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

here = pathlib.Path(__file__).parent
random = np.random.default_rng(4)
template = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def tokenizer(special):
    """Bytes, and the special tokens behind them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, chat_template=template, eos_token="<|im_end|>", model_input_names=["input_ids"])


class WithoutVideo:
    """A processor without its video processor, which needs torchvision."""

    def check_argument_for_proper_class(self, name, argument):
        return None if name == "video_processor" else super().check_argument_for_proper_class(name, argument)


class InternVL(WithoutVideo, InternVLProcessor):
    pass


class Qwen(WithoutVideo, Qwen2_5_VLProcessor):
    pass


def planes(patches, grids, patch, merge, time=2):
    """Qwen's patches as pictures again, one after the other: [3, H, W] each, flat."""
    out, start = [], 0
    for _, rows, columns in grids:
        x = patches[start:start + rows * columns]
        start += rows * columns
        x = x.reshape(rows // merge, columns // merge, merge, merge, 3, time, patch, patch)[:, :, :, :, :, 0]
        out.append(x.transpose(4, 0, 2, 5, 1, 3, 6).reshape(-1))
    return np.concatenate(out) if out else np.zeros(0)


def png(width, height):
    out = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def family(name, processor, preprocessor, token, own):
    config = json.loads((here / f"../vision/{name}/config.json").read_text())
    config["image_token_index" if "image_token_index" in config else "image_token_id"] = (
        processor.tokenizer.convert_tokens_to_ids(token))
    config["text_config"]["vocab_size"] = len(processor.tokenizer)
    config["text_config"]["max_position_embeddings"] = 2048
    cases = []
    for messages, sizes in [
        ([("system", "Look."), ("user", "<image>What is this?")], [(20, 31)]),
        ([("user", "First <image>, then <image>\n"), ("assistant", "Two."), ("user", "And<image>")],
         [(33, 12), (16, 16), (50, 21)]),
        ([("user", "No picture <imag")], []),
    ]:
        files = [png(*size) for size in sizes]
        chat = [{"role": role, "content": text} for role, text in messages]
        text = processor.tokenizer.apply_chat_template(
            [{**m, "content": m["content"].replace("<image>", own)} for m in chat], tokenize=False,
            add_generation_prompt=True)
        made = processor(
            text=[text], images=[Image.open(io.BytesIO(f)) for f in files] or None, return_tensors="np")
        pixels = np.asarray(made.get("pixel_values", np.zeros((0, 3, 1, 1))), dtype="<f4")
        if "image_grid_thw" in made:
            pixels = planes(pixels, made["image_grid_thw"], preprocessor["patch_size"], preprocessor["merge_size"])
        cases.append({
            "messages": chat, "images": [base64.b64encode(f).decode() for f in files],
            "tokens": [int(t) for t in made["input_ids"][0]], "shape": list(pixels.shape),
            "pixels": base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()})
    return {
        "name": name, "cases": cases,
        "files": {
            "config.json": json.dumps(config), "preprocessor_config.json": json.dumps(preprocessor),
            "tokenizer.json": processor.tokenizer.backend_tokenizer.to_str(),
            "tokenizer_config.json": json.dumps({
                "chat_template": template, "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"})}}


def main():
    chat = ["<|im_start|>", "<|im_end|>"]
    clip = {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}
    intern = {
        "size": {"height": 16, "width": 16}, "crop_to_patches": True, "min_patches": 1, "max_patches": 4,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    llava = LlavaProcessor(
        CLIPImageProcessorPil(**clip), tokenizer(chat + ["<image>"]), patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, image_token="<image>")
    tok = tokenizer(chat + ["<img>", "</img>", "<IMG_CONTEXT>"])
    for key, value in [("start_image_token", "<img>"), ("end_image_token", "</img>"),
                       ("context_image_token", "<IMG_CONTEXT>"), ("video_token", "<video>")]:
        setattr(tok, key, value)
        setattr(tok, key + "_id", tok.convert_tokens_to_ids(value))
    internvl = InternVL(GotOcr2ImageProcessorPil(**intern), tok, image_seq_length=4)
    qwen = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 128, "max_pixels": 1024}
    tok = tokenizer(chat + ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"])
    qwen_vl = Qwen(
        Qwen2VLImageProcessorPil(**{**qwen, "size": {"shortest_edge": 128, "longest_edge": 1024}}), tok)
    families = [
        family("llava_clip", llava, {"image_processor_type": "CLIPImageProcessor", **clip}, "<image>", "<image>"),
        family("internvl", internvl,
               {"image_processor_type": "GotOcr2ImageProcessorFast", "processor_class": "InternVLProcessor", **intern},
               "<IMG_CONTEXT>", "<IMG_CONTEXT>"),
        family("qwen2_5_vl", qwen_vl, {"image_processor_type": "Qwen2VLImageProcessor", **qwen}, "<|image_pad|>",
               "<|vision_start|><|image_pad|><|vision_end|>"),
    ]
    (here / "prompts.json").write_text(json.dumps(families, indent=1) + "\n")
    for one in families:
        print(one["name"], [(len(c["tokens"]), c["shape"]) for c in one["cases"]])


main()
