"""default_model.json: what PyTorch computes with the default model. Run by make.py."""

import json

import torch

from gguf_llama import load
from prompts import PROMPTS

LOGIT_STRIDE = 97
TOP = 32
GREEDY = 64


def rounded(values, digits=6):
    return [round(float(v), digits) for v in values]


@torch.no_grad()
def describe(model, ids):
    """Token ids; at every position the log-probability of the next token and the entropy (nats); the last logits."""
    logits = model(torch.tensor([ids])).logits[0].float()
    log_p = torch.log_softmax(logits.double(), -1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    next_log_p = log_p[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    top = logits[-1].topk(TOP)
    return {
        "tokens": ids,
        "logProbabilities": rounded(next_log_p),
        "entropies": rounded(entropy),
        "stridedLogits": rounded(logits[-1, ::LOGIT_STRIDE], 5),
        "topTokens": top.indices.tolist(),
        "topLogits": rounded(top.values, 5),
    }


@torch.no_grad()
def greedy(model, ids):
    """The most probable continuation, stop tokens ignored, and by how much each token beat the second."""
    tokens, margins, cache = [], [], None
    current = torch.tensor([ids])
    for _ in range(GREEDY):
        output = model(current, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        best = output.logits[0, -1].float().topk(2)
        tokens.append(best.indices[0].item())
        margins.append((best.values[0] - best.values[1]).item())
        current = best.indices[:1][None]
    return {"greedyTokens": tokens, "greedyMargins": rounded(margins, 5)}


def make(model_path, target):
    model, tokenizer = load(model_path)
    cases = []
    for text in PROMPTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert 5 <= len(ids) <= 220, (len(ids), text)
        cases.append({"text": text} | describe(model, ids) | greedy(model, ids))
        print(len(ids), repr(text[:40]), "->", repr(tokenizer.decode(cases[-1]["greedyTokens"])[:60]), flush=True)
    with open(target, "w") as file:
        file.write('{"logitStride": %d, "cases": [\n' % LOGIT_STRIDE)
        file.write(",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases))
        file.write("\n]}\n")
