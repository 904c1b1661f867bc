"""The fuzzers' first inputs, one folder a target: small, sound, and each of another kind. All of it is made here.

Needs numpy and Pillow. Run in this folder: python make_seeds.py. Inputs of other names, which fuzzing added, are left alone.
"""

import base64
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

here = pathlib.Path(__file__).parent
fixtures = here.parent


def seed(target, name, data):
    folder = here / target
    folder.mkdir(exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data.encode() if isinstance(data, str) else data)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Frames: those that Google's protobuf made.
frames = {name: bytes.fromhex(text) for name, text in json.loads((fixtures / "wire/frames.json").read_text()).items()}
for name, frame in frames.items():
    seed("wire", name, frame)


# Farms. An event is a byte and what it needs; 6 takes a frame: the peer, the kind of the sound message, then odd for that
# message with some bytes replaced, even for a frame of the input's own.
def frame(data):
    return struct.pack("<H", len(data)) + data


def spoilt(*pairs):
    return bytes([1, len(pairs)]) + b"".join(struct.pack("<HB", place, byte) for place, byte in pairs)


work = b"\x01" + b"\x03\0\0" + b"\x04" * 4 + b"\x02" + b"\x00\x20"
for policy in range(9):
    seed("coordinator", f"run-{policy}", bytes([policy]) + work * 3 + b"\x00\xff" * 3)
for kind in range(6):
    lies = b"".join(b"\x06" + bytes([1 + peer, 0, kind]) + spoilt((5 + peer, 1), (9, 255)) for peer in range(3))
    seed("coordinator", f"lies-{kind}", b"\0" + work[:4] + lies + work + lies)
seed("coordinator", "drain", b"\0" + work + b"\x05\xff" + work)
for name in ["hello", "groupResult"]:
    seed("coordinator", f"frame-{name}", b"\0" + work[:4] + b"\x06\x01\x00\x00\x00" + frame(frames[name]) + b"\x00\xff")


def told(kind, number, changes=()):
    return b"\x06" + bytes([kind, number]) + spoilt(*changes)


joined = told(0, 0) + told(1, 0) + b"\x01" + b"\x02"
leased = told(2, 1) + told(2, 0) + b"\x03"
seed("worker", "work", joined + leased + told(4, 1) + b"\x00\x20" + told(1, 2) + b"\x01\x03\x02" + told(2, 3) + b"\x03")
seed("worker", "shrink", joined + told(8, 1) + told(14, 1) + b"\x03" + b"\x00\xff" * 20)
seed("worker", "drain", joined + leased + b"\x04\xff" + b"\x00\xff" * 4)
seed("worker", "goodbye", joined + told(0, 2) + leased + told(5, 0))
seed("worker", "spoilt", joined + told(2, 1, [(8, 0), (20, 200)]) + told(4, 1, [(3, 1)]) + b"\x03")
seed("worker", "frame", joined + b"\x06\x00\x00\x00" + frame(frames["lease"]) + b"\x00\x10")
welcomed = told(0, 0)
seed("learner", "work", welcomed + b"".join(told(1, n) + b"\x01\x02\x00\x20" for n in range(4)) + told(4, 0) + b"\x02")
seed("learner", "again", welcomed + told(1, 0) + b"\x01" + told(1, 0) + told(3, 1) + told(0, 3) + b"\x04\xff\x03\x00\xff")
seed("learner", "spoilt", welcomed + told(1, 0, [(4, 9)]) + told(1, 0, [(30, 0)]) + b"\x01")
seed("learner", "frame", welcomed + b"\x06\x00\x00\x00" + frame(frames["trainBatch"]) + b"\x01")
round_trip = b"\x02\x03"
seed("weights", "work", b"\x01\x00" + round_trip * 6 + b"\x01\x01" + round_trip * 6 + b"\x03" * 3)
seed("weights", "spoilt", b"\x01\x00" + round_trip + b"\x02\x05" + spoilt((30, 7)) + round_trip * 4 + b"\x00\xff" * 2)
seed("weights", "asked", b"\x01\x00" + round_trip + b"\x04" + spoilt((6, 2)) + b"\x04" + spoilt((4, 200)) + b"\x03")
seed("weights", "frames", b"\x01\x00\x05\x00" + frame(frames["manifest"]) + b"\x05\x00" + frame(frames["chunk"]))


# Models.
def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def gguf(family="llama", extra=(), tensors=None, tokens=("<end>", "a", "b", "ab")):
    pairs = [pair("general.architecture", 8, text(family))]
    for key, value in [
        ("block_count", 1), ("context_length", 64), ("embedding_length", 4), ("feed_forward_length", 2),
        ("attention.head_count", 2), ("attention.head_count_kv", 1), ("attention.key_length", 2)]:
        pairs.append(pair(f"{family}.{key}", 4, struct.pack("<I", value)))
    pairs.append(pair(f"{family}.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)))
    pairs.append(pair("tokenizer.ggml.model", 8, text("gpt2")))
    strings = lambda values: struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))
    pairs.append(pair("tokenizer.ggml.tokens", 9, strings(tokens)))
    pairs.append(pair("tokenizer.ggml.token_type", 9, struct.pack("<IQ4i", 5, 4, 3, 1, 1, 1)))
    pairs.append(pair("tokenizer.ggml.merges", 9, strings(["a b"])))
    pairs.append(pair("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 0)))
    pairs += extra
    shapes = {
        "token_embd.weight": (4, 4), "blk.0.attn_norm.weight": (4,), "blk.0.attn_q.weight": (4, 4),
        "blk.0.attn_k.weight": (4, 2), "blk.0.attn_v.weight": (4, 2), "blk.0.attn_output.weight": (4, 4),
        "blk.0.ffn_norm.weight": (4,), "blk.0.ffn_gate.weight": (4, 2), "blk.0.ffn_up.weight": (4, 2),
        "blk.0.ffn_down.weight": (2, 4), "output_norm.weight": (4,)}
    shapes.update(tensors or {})
    descriptions, data = b"", b""
    for name, shape in shapes.items():
        descriptions += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += np.arange(int(np.prod(shape)), dtype="<f4").tobytes()
        data += b"\0" * (-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs)) + b"".join(pairs) + descriptions
    return head + b"\0" * (-len(head) % 32) + data


seed("gguf", "llama", gguf())
biases = {f"blk.0.attn_{name}.bias": (size,) for name, size in [("q", 4), ("k", 2), ("v", 2)]}
seed("gguf", "qwen2", gguf("qwen2", tensors=biases | {"output.weight": (4, 4)}))
seed("gguf", "qwen3", gguf("qwen3", tensors={"blk.0.attn_q_norm.weight": (2,), "blk.0.attn_k_norm.weight": (2,)}))
nested = struct.pack("<IQ", 9, 2) + struct.pack("<IQ", 0, 2) + b"\1\2" + struct.pack("<IQ", 7, 1) + b"\1"
seed("gguf", "metadata", gguf(extra=[
    pair("general.alignment", 4, struct.pack("<I", 32)), pair("x.nested", 9, nested),
    pair("x.u64", 10, b"\xff" * 8), pair("x.f64", 12, struct.pack("<d", 1.5)), pair("x.i8", 1, b"\xff"),
    pair("tokenizer.ggml.pre", 8, text("llama-bpe")), pair("tokenizer.ggml.add_bos_token", 7, b"\1"),
    pair("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 0)),
    pair("tokenizer.chat_template", 8, text("{{'<|im_start|>' + message.role}}")),
    pair("llama.rope.freq_base", 6, struct.pack("<f", 5e5))]))


def safetensors(header, data):
    header = compact(header).encode()
    return struct.pack("<Q", len(header)) + header + data


seed("safetensors", "kinds", safetensors({
    "__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "F16", "shape": [3], "data_offsets": [16, 22]},
    "c": {"dtype": "BF16", "shape": [], "data_offsets": [22, 24]},
    "empty": {"dtype": "F32", "shape": [0, 7], "data_offsets": [24, 24]}}, bytes(range(24))))
seed("safetensors", "none", safetensors({}, b""))

# Adapters: the length of adapter_config.json, it, and adapter_model.safetensors.
peft = json.loads((fixtures / "lora/llama_gqa/adapter_config.json").read_text())
tensors = (fixtures / "lora/llama_gqa/adapter_model.safetensors").read_bytes()
for name, changes, weights in [
    ("peft", {}, tensors), ("stable", {"use_rslora": True}, tensors), ("dora", {"use_dora": True}, tensors),
    ("wide", {"r": 40}, tensors), ("none", {}, safetensors({}, b"")),
]:
    config = compact(peft | changes).encode()
    seed("adapter", name, struct.pack("<H", len(config)) + config + weights)

split = lambda regex, behavior="Isolated": {
    "type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": behavior == "Removed"}
level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
special = lambda id, content: {
    "id": id, "content": content, "single_word": False, "lstrip": True, "rstrip": False, "normalized": False,
    "special": True}
vocabulary = {"<|im_start|>": 0, "<|im_end|>": 1, "a": 2, "b": 3, "c": 4, "Ġ": 5, "ab": 6, "Ġab": 7, "1": 8, "Ã": 9, "©": 10}


def tokenizer(**changes):
    value = {
        "version": "1.0", "added_tokens": [special(0, "<|im_start|>"), special(1, "<|im_end|>")], "normalizer": None,
        "pre_tokenizer": level, "post_processor": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": ["a b", "Ġ ab"]}}
    value.update(changes)
    return compact(value)


tail = "\0" + compact({"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}, "add_bos_token": True,
                       "chat_template": "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"})
seed("tokenizer", "plain", tokenizer() + "\0\0 ab abc é 123")
seed("tokenizer", "config", tokenizer() + tail + "\0<|im_start|>ab")
seed("tokenizer", "splits", tokenizer(normalizer={"type": "NFC"}, pre_tokenizer={"type": "Sequence", "pretokenizers": [
    split(r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"), {"type": "Digits", "individual_digits": True},
    {**level, "use_regex": False}]}) + "\0\0a  b\n12")
seed("tokenizer", "removed", tokenizer(pre_tokenizer=split(r"[^\s]+", "Removed")) + "\0\0a b")
seed("tokenizer", "pairs", tokenizer(
    model={"vocab": vocabulary, "merges": [["a", "b"]]},
    post_processor={"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [0], "tokens": ["<|im_start|>"]}}}) + "\0\0ab")
seed("template", "chatml", "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}\0Hello")
seed("template", "default", "{{ '<|im_start|>system\\nYou are helpful<|im_end|>\\n' }}{{'<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>'}}</think>\0</think>")
seed("template", "llama3", "{{ bos_token }}{% set date_string = \"26 Jul 2024\" %}Cutting Knowledge Date: December 2023{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}\0 x ")
seed("template", "other", "{{ '[INST] ' + message['content'] + ' [/INST]' }}")

llama = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 8,
    "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
    "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}
seed("config", "llama", compact(llama) + "\0" + compact({"eos_token_id": [2, 3]}))
scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 32}
seed("config", "scaled", compact({**llama, "rope_scaling": scaling, "attention_bias": True, "mlp_bias": True}))
seed("config", "parameters", compact({**llama, "rope_parameters": {**scaling, "rope_theta": 5e5}}))
seed("config", "qwen2", compact({
    **llama, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False}))
seed("config", "qwen3", compact({**llama, "architectures": None, "model_type": "qwen3", "head_dim": 4,
                                 "layer_types": ["full_attention"]}))
clip = {"do_resize": True, "size": {"shortest_edge": 8}, "do_center_crop": True, "crop_size": {"height": 8, "width": 8},
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "do_rescale": True,
        "rescale_factor": 0.00392, "resample": 3, "image_processor_type": "CLIPImageProcessor"}
qwen = {"image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 2, "merge_size": 2, "temporal_patch_size": 2,
        "min_pixels": 16, "max_pixels": 256, "do_resize": True}
tiles = {"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 8, "width": 8}, "crop_to_patches": True,
         "min_patches": 1, "max_patches": 6, "resample": 1}
for name, value in [("clip", clip), ("qwen", qwen), ("tiles", tiles)]:
    seed("preprocessor", name, compact(value))
seed("preprocessor", "siglip", compact({"image_processor_type": "SiglipImageProcessor", "size": {"height": 9, "width": 7},
                                        "resample": 2, "do_normalize": False}))
seed("preprocessor", "edges", compact({**qwen, "size": {"shortest_edge": 16, "longest_edge": 300}, "min_pixels": None}))
seed("preprocessor", "number", compact({**clip, "size": 8, "crop_size": 6, "resample": 4}))
for name, processor in [("llava_clip", clip), ("llava_siglip", clip), ("qwen2_5_vl", qwen), ("internvl", tiles)]:
    config = json.loads((fixtures / f"vision/{name}/config.json").read_text())
    seed("config", name, compact(config) + "\0\0" + compact(processor))


# Pictures.
def picture(mode, width=9, height=7):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = (np.arange(width * height * channels) * 37 % 256).astype(np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes())


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


for mode in ["L", "LA", "RGB", "RGBA"]:
    seed("image", f"{mode.lower()}.png", saved(picture(mode), "PNG"))
seed("image", "palette.png", saved(picture("RGB").quantize(5), "PNG", bits=4, transparency=1))
raw = b"".join(b"\0" + bytes(range(row, row + 8)) for row in range(4))
# 16 bits, interlaced, with chunks that mean nothing here.
seed("image", "deep.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 0, 0, 0, 0))
     + chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"Title\0x") + chunk(b"IDAT", zlib.compress(raw))
     + chunk(b"IEND", b""))
seed("image", "interlaced.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
     + chunk(b"tRNS", b"\0\1\0\2\0\3") + chunk(b"IDAT", zlib.compress(b"\0\1\2\3")) + chunk(b"IEND", b""))
for mode in ["L", "RGB", "CMYK"]:
    seed("image", f"{mode.lower()}.jpg", saved(picture(mode), "JPEG", quality=40))
seed("image", "progressive.jpg", saved(picture("RGB", 17, 16), "JPEG", progressive=True, quality=20))
seed("image", "restart.jpg", saved(picture("L", 24, 8), "JPEG", restart_marker_blocks=1, quality=20))
encoded = base64.b64encode(saved(picture("RGB", 2, 1), "PNG")).decode()
seed("image", "base64", encoded)
seed("image", "broken", b"\xff\xd8\xff\xe0")


# Data.
def npy(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


for kind in ["|u1", "<i4", "<i8", "<f4", "<f8"]:
    seed("npy", kind[1:], npy(np.arange(6).reshape(2, 3).astype(kind)))
seed("npy", "version2", npy(np.zeros((), "<f4"), (2, 0)))
seed("npy", "fortran", npy(np.asfortranarray(np.zeros((2, 3), "<f4"))))
arrays = {"train_images": np.zeros((2, 2, 1, 3), "u1"), "train_labels": np.array([[0], [4]], "u1")}
for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
    file = io.BytesIO()
    save(file, **arrays)
    seed("npz", name, file.getvalue())
    seed("npz", f"{name}-cut", file.getvalue()[:-3])


def row(images, question, answer, **more):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"image": images, "conversations": turns, **more}


choice = "<image>\nWhich?\nA. One\nB. Two\nC. Three"
seed("mm_retinal_reason", "choice", compact([
    row([encoded], choice, "B", reason="Because."), row(["CFP/IDRiD/1.jpg"], choice, "<answer>A, C</answer>")]))
seed("mm_retinal_reason", "case", "\ufeff" + compact([row(
    "data:image/png;base64," + encoded, "What is it? \u00e9", "Drusen", pmcid="PMC1", title="t", caption=None,
    modality="OCT", domain="in_domain", type="open_ended", aliases=["AMD"])]))
seed("mm_retinal_reason", "truth", compact([row(["a.png"], "Is it?\n(A) True (B) False", "A", type="true_false"), 1, {"image": []}]))
seed("table", "quoted", f",base64\n\"b,c.png\",{encoded}\r\na.png,{encoded}")
seed("table", "broken", ",base64\na.png,%\n")
seed("table", "header", "x,y\n")
problems = [{"question": f"{n} + 2?", "answer": f"It is <<{n}+2={n + 2}>>so.\n#### {n + 2}"} for n in range(8)]
choices = [{"question": f"Which {n}?", "options": ["x", "y", "z"], "answer": answer} for n, answer in
           enumerate(["B", "A,C", ["A", "B"], "C", "A", "B", "C"])]
truths = [{"question": f"So {n}?", "type": "true_false", "answer": n % 2 == 0, "reason": "r"} for n in range(4)]
names = [{"question": f"Name {n}?", "answer": "Age-related AMD", "aliases": ["AMD", f"drusen {n}"]} for n in range(8)]
# The first byte chooses: its remainder by 3 the task, 64 partial credit, 128 fuzzy names.
for kind, name, rows, answer in [
    (0, "gsm8k", problems, "3,000.50"), (1, "choice", choices + truths, "(a), b."), (64, "partial", choices, "A,B"),
    (2, "open", names, "the amd"), (128, "fuzzy", names, "macular AMD")]:
    seed("questions", name, bytes([kind]) + ("\n".join(map(compact, rows)) + "\0" + answer).encode())
seed("questions", "broken", b"\0" + b'{"question": "x"}')

# Files.
seed("settings", "arithmetic", (fixtures.parents[1] / "configs/arithmetic.yaml").read_bytes())
seed("settings", "override", "algorithm:\n  preset: grpo\nrun: {steps: 3}\n\0rollout.group_size=4")
seed("settings", "kinds", "# c\n---\nfarm:\n  listen: 'tcp://127.0.0.1:*'\n  stragglers: hedge\noptimizer: {learning_rate: 1e-5, decay: \"linear\"}\ntask:\n  modalities: [CFP, OCT]\n  system_prompt: |\n    x\n    y\n")
seed("settings", "anchor", "a: &x 1\nb: *x\n")
seed("settings", "tag", "run: !!map\n  ? steps\n  : !!int 3\n")
public, secret = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
certificate = f"#   comment\nmetadata\n    name = \"w1\"\ncurve\n    public-key = \"{public}\"\n"
seed("keys", "public", "\0" + certificate)
seed("keys", "secret", "\1" + certificate + f"    secret-key = '{secret}'\n")
seed("keys", "list", "\2# names\nw1 " + public + "\n\nserver.2 rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n")
seed("checkpoint", "manifest", "\0" + compact({"format": 1, "files": {
    "model.safetensors": {"bytes": 12, "xxh3_128": "0" * 32}, "trainer_state.json": {"bytes": 0, "xxh3_128": ""}}}))
state = {"format": 1, "next_step": 3, "policy_version": 3, "tau": 0.25, "cursor": 24, "update_count": 3,
         "samples_trained": 192, "tokens_trained": 4000, "settings_digest": "0123456789abcdef"}
seed("checkpoint", "state", "\1" + compact(state))
seed("checkpoint", "last", "\1" + compact({**state, "tau": None, "last_step": {
    "step": 2, "version": 3, "metrics": {"loss": -0.5, "none": None}}}))
seed("metrics", "rows", "".join(compact({"kind": kind, "step": step, "version": step, "loss": 0.5 * step,
                                          "seconds_elapsed": step + 0.25, "bad": None}) + "\n"
                                 for kind, step in [("evaluation", 0), ("step", 1), ("step", 2), ("evaluation", 2)])
     + '{"kind":"st')
seed("metrics", "broken", "[]\n")

for folder in here.iterdir():
    if folder.is_dir():
        seed(folder.name, "empty", b"")

# What a server of chat completions says: a byte, even for its list of models and odd for an answer, and the body.
def answer(**message):
    return b"\x01" + compact({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


seed("chat", "models", b"\0" + compact({"object": "list", "data": [{"id": "a-model", "object": "model"}]}).encode())
seed("chat", "models-none", b"\0" + compact({"data": []}).encode())
seed("chat", "models-control", b"\0" + compact({"data": [{"id": "a\x1b[2Jb"}]}).encode())
seed("chat", "answer", answer(role="assistant", content="<think>so</think><answer>7</answer>"))
seed("chat", "answer-parted", answer(content="<answer>7</answer>", reasoning_content="3 and 4"))
seed("chat", "answer-none", answer(content=None))
seed("chat", "choices-none", b"\x01" + compact({"choices": [], "error": {"message": "no"}}).encode())
usage = {"choices": [{"message": {"content": "7"}, "finish_reason": "length"}], "usage": {"completion_tokens": -3}}
seed("chat", "usage-negative", b"\x01" + compact(usage).encode())
seed("chat", "page", b"\x01<html>\r\n<body>busy</body>\n</html>")

# Journals: which one (two bytes), so many changed bytes (a place of two bytes, a byte), where it is cut, then changed values.
for base in range(15):
    seed("journal", f"sound-{base}", bytes([base, 0, 0, 0]))
for base in [4, 9]:
    for place in [0, 20, 60, 90, 400, 1500, 4000, 9000]:
        seed("journal", f"byte-{base}-{place}", struct.pack("<HBHBB", base, 1, place, 0xA5, 0))
    seed("journal", f"cut-{base}", bytes([base, 0, 0, 160]))
numbers = {"small": 3, "huge": 0xA0, "region": 0xC1, "wide": 0xE0}
for base in [7, 12]:
    for name, number in numbers.items():
        for kind in [0, 1, 2, 7]:
            seed("journal", f"value-{base}-{kind}-{name}", bytes([base, 0, 0, 0, kind, number]))
        seed("journal", f"version-{base}-{name}", bytes([base, 0, 0, 0, 3, number, number]))
        seed("journal", f"step-{base}-{name}", bytes([base, 0, 0, 0, 5, number, number, number, 0]))
        for field in [0, 1, 3, 4]:
            seed("journal", f"lease-{base}-{field}-{name}", bytes([base, 0, 0, 0, 9, 1, 0, field, number]))
    for kind in [4, 6, 8]:
        seed("journal", f"gone-{base}-{kind}", bytes([base, 0, 0, 0, kind, 0, 0]))
    seed("journal", f"purpose-{base}", bytes([base, 0, 0, 0, 9, 1, 0, 2]))
    seed("journal", f"group-{base}", bytes([base, 0, 0, 0, 9, 0, 0, 6, 1, 0]))
