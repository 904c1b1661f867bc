"""Makes the fixtures of this folder with PyTorch and transformers, independently of Fovea's own code.

    python make.py default ../../../models/SmolLM2-135M-Instruct.Q4_1.gguf
    python make.py tiny
    python make.py step
    python make.py supervised

Needs requirements.txt, and for `default` also `gguf` and `tokenizers`. Everything is fp32 (fp64 where tiny) on the CPU.
"""

import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    torch.set_num_threads(2)
    match sys.argv[1:]:
        case ["default", path]:
            import default_model

            default_model.make(path, os.path.join(HERE, "default_model.json"))
        case ["tiny"]:
            import tiny_models

            tiny_models.make(os.path.join(HERE, "tiny"))
        case ["step"]:
            import training_step

            training_step.make(os.path.join(HERE, "tiny", "llama_gqa"), os.path.join(HERE, "step"))
        case ["supervised"]:
            import supervised

            supervised.make(os.path.join(HERE, "tiny", "llama_gqa"), os.path.join(HERE, "supervised"))
        case _:
            sys.exit(__doc__)


main()
