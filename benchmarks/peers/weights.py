"""Writes the default model's weights in the formats that the peers read: all of them hold the same values.

    python weights.py MODEL.gguf FOLDER

FOLDER gets hf/ (bf16 safetensors with tokenizer), bf16.gguf, and q4_0.gguf as llama.cpp quantizes it. MODEL.gguf itself
(Q4_1) is what llama.cpp's Q4_1 rows run. What is there already is left alone; what cannot be made is said and skipped.
"""

import os
import sys
import traceback

import numpy as np


def write_folder(source, folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": os.path.dirname(source) or ".", "gguf_file": os.path.basename(source)}
    weights = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).state_dict()
    config = AutoConfig.from_pretrained(**place)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(weights)
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def write_bf16(source, target):
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, GGMLQuantizationType, LlamaFileType
    from gguf.quants import dequantize, quantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, arch="llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)
    writer.add_file_type(LlamaFileType.MOSTLY_BF16)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if values.ndim == 1:  # norms stay fp32
            writer.add_tensor(tensor.name, values)
        else:
            kind = GGMLQuantizationType.BF16
            writer.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_q4_0(source, target):
    import ctypes

    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    parameters.nthread = 2
    status = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    if status != 0:
        raise RuntimeError(f"llama_model_quantize returned {status}")


def main():
    source, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    bf16 = os.path.join(folder, "bf16.gguf")
    for name, write in [
        ("hf", lambda target: write_folder(source, target)),
        ("bf16.gguf", lambda target: write_bf16(source, target)),
        ("q4_0.gguf", lambda target: write_q4_0(bf16, target)),
    ]:
        target = os.path.join(folder, name)
        if os.path.exists(target):
            continue
        # A suffix of its own keeps gguf's and llama.cpp's opinion of the name; a half-written file never has the name.
        temporary = os.path.join(folder, "partial-" + name)
        try:
            write(temporary)
            os.rename(temporary, target)
            print(f"weights: {target}")
        except Exception:
            traceback.print_exc()
            print(f"weights: {target} could not be made")


main()
