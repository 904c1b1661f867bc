"""Opens vision-language folders that Fovea saved in transformers: every weight must be found, and be the fixture's.

    python check_saved.py FOLDER_OF_FOLDERS
"""

import os
import sys

import torch
from transformers import AutoModelForImageTextToText

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    for name in sorted(os.listdir(sys.argv[1])):
        model, report = AutoModelForImageTextToText.from_pretrained(
            os.path.join(sys.argv[1], name), dtype=torch.float32, output_loading_info=True
        )
        problems = {key: value for key, value in report.items() if value}
        if problems:
            sys.exit(f"{name}: {problems}")
        ours = model.state_dict()
        theirs = AutoModelForImageTextToText.from_pretrained(os.path.join(HERE, name), dtype=torch.float32).state_dict()
        for key, value in theirs.items():
            if not torch.equal(value, ours[key]):
                sys.exit(f"{name}: {key} differs")
        print(f"{name} opens in transformers: {len(theirs)} tensors are equal")


main()
