"""Opens adapters that Fovea saved in PEFT: the tensors must be the fixture's, and the log-probabilities those expected.

    python check_saved.py FOLDER_OF_FOLDERS
"""

import os
import sys

import make_adapters as make
import torch
from peft import PeftModel
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__))


@torch.no_grad()
def main():
    for name in make.ADAPTERS:
        folder = os.path.join(sys.argv[1], name)
        ours = load_file(os.path.join(folder, "adapter_model.safetensors"))
        theirs = load_file(os.path.join(HERE, name, "adapter_model.safetensors"))
        if ours.keys() != theirs.keys() or not all(torch.equal(ours[key], theirs[key]) for key in theirs):
            sys.exit(f"{name}: the tensors differ")
        model = PeftModel.from_pretrained(make.base_model(name), folder).double()
        loaded = sum("lora_" in key for key, _ in model.named_parameters())
        if loaded != len(theirs):
            sys.exit(f"{name}: PEFT made {loaded} tensors of {len(theirs)}")
        expected = load_file(os.path.join(HERE, name, "expected.safetensors"))
        worst = 0.0
        for g, (prompt, images, completions) in enumerate(make.groups(name)):
            for i, completion in enumerate(completions):
                log_p = make.log_probabilities(model, model.config, prompt, images, completion)
                worst = max(worst, (log_p - expected[f"{g}.logp.{i}"]).abs().max().item())
        print(f"{name} opens in PEFT: {len(theirs)} tensors are equal, log-probabilities differ by {worst:.1e} at most")
        if worst > 1e-5:
            sys.exit(1)


main()
