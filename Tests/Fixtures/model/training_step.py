"""step/: one whole training step of tiny/llama_gqa by autograd, in fp64. Run by make.py.

step.json         the groups, and for each case its settings, log-probabilities, entropies, advantages and loss
CASE.safetensors  d loss / d every parameter
adamw.safetensors the parameters after two updates of torch.optim.AdamW with the gradients of the first two cases
"""

import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

# name: temperature, shaping, level, normalize, aggregation, ratio
CASES = {
    "uadt_sequence": dict(temperature=1.0, shaping="uadt", level="sequence", normalize="std", aggregation="sequence", ratio="token"),
    "uadt_token": dict(temperature=0.7, shaping="uadt", level="group", normalize="none", aggregation="token", ratio="token"),
    "entropy_bonus": dict(temperature=1.0, shaping="entropy_bonus", level="sequence", normalize="std", aggregation="token", ratio="token"),
    "gspo_constant": dict(temperature=0.7, shaping="uadt", level="sequence", normalize="std", aggregation="constant", ratio="sequence"),
}
CONSTANTS = dict(
    uadtLambda=0.5, gamma=0.9, sensitivity=1.0, alpha=0.4, kappa=2.0, clipLow=0.2, clipHigh=0.28, klCoefficient=0.05,
    importanceCap=1.5, constantLength=16.0, previousTau=1.0,
)
ADAMW = dict(learningRate=0.01, beta1=0.9, beta2=0.99, epsilon=1e-8, weightDecay=0.1, gradientClip=0.5)
PROMPT_LENGTHS = (7, 1, 12)
COMPLETION_LENGTHS = ((3, 12, 1, 8), (5, 5, 9, 2), (4, 10, 6, 7))
# The second group's rewards are all equal: no advantage, but still a KL term.
REWARDS = ((1.1, 0.0, 0.1, 1.0), (0.1, 0.1, 0.1, 0.1), (1.1, 1.1, 0.0, 0.1))


def make_groups(vocabulary, generator):
    draw = lambda n: torch.randint(0, vocabulary, (n,), generator=generator).tolist()
    return [
        {"prompt": draw(p), "completions": [draw(n) for n in lengths], "rewards": list(rewards)}
        for p, lengths, rewards in zip(PROMPT_LENGTHS, COMPLETION_LENGTHS, REWARDS)
    ]


def score(model, group, temperature):
    """Log-probability and entropy of every completion token, one sequence at a time, without padding or sharing."""
    scores = []
    for completion in group["completions"]:
        prompt = group["prompt"]
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1] / temperature
        log_p = torch.log_softmax(logits, -1)
        entropy = -(log_p.exp() * log_p).sum(-1)
        scores.append((log_p.gather(1, torch.tensor(completion)[:, None])[:, 0], entropy.detach()))
    return scores


def shaped_advantages(groups, scores, case):
    """[group][sample] tensors [T], and tau."""
    c = CONSTANTS
    sequence_entropy = [torch.stack([h.mean() for _, h in group]) for group in scores]
    mean_entropy = torch.cat(sequence_entropy).mean()
    tau = c["gamma"] * c["previousTau"] + (1 - c["gamma"]) * mean_entropy
    result = []
    for group, group_scores, entropy in zip(groups, scores, sequence_entropy):
        r = torch.tensor(group["rewards"], dtype=torch.float64)
        a = r - r.mean()
        if case["normalize"] == "std":
            a = a / (r.std() + 1e-4)
        if case["level"] == "group":
            entropy = entropy.mean().expand_as(entropy)
        shaped = []
        for i, (_, h) in enumerate(group_scores):
            if case["shaping"] == "uadt":
                omega = torch.tanh((entropy[i] - tau) / max(tau.item(), 1e-6) * c["sensitivity"])
                sign = 1 if a[i] >= 0 else -1
                shaped.append((a[i] * (1 + sign * c["uadtLambda"] * omega)).expand_as(h))
            else:
                shaped.append(a[i] + torch.minimum(c["alpha"] * h, a[i].abs() / c["kappa"]))
        result.append(shaped)
    return result, tau, mean_entropy


def policy_loss(scores, inputs, advantages, case):
    c = CONSTANTS
    sequences = [(s[0], x, a) for gs, gx, ga in zip(scores, inputs, advantages) for s, x, a in zip(gs, gx, ga)]
    token_count = sum(len(s) for s, _, _ in sequences)
    total, low, high, capped = 0, 0, 0, 0
    for log_p, (old, behaviour, reference), a in sequences:
        log_ratio = log_p - old
        if case["ratio"] == "sequence":
            log_ratio = log_ratio.mean().expand_as(log_p)
        rho = log_ratio.exp()
        clipped = rho.clamp(1 - c["clipLow"], 1 + c["clipHigh"])
        # No token may sit so near a kink that fp32 could fall on its other side.
        for kink in (1 - c["clipLow"], 1 + c["clipHigh"]):
            assert (rho - kink).abs().min() > 1e-4
        low += ((a < 0) & (rho < 1 - c["clipLow"])).sum().item()
        high += ((a > 0) & (rho > 1 + c["clipHigh"])).sum().item()
        importance = (old - behaviour).exp()
        assert (importance - c["importanceCap"]).abs().min() > 1e-4
        capped += (importance > c["importanceCap"]).sum().item()
        weight = importance.clamp(max=c["importanceCap"])
        d = reference - log_p
        objective = weight * (torch.minimum(rho * a, clipped * a) - c["klCoefficient"] * (d.exp() - d - 1))
        if case["aggregation"] == "sequence":
            total = total - objective.mean() / len(sequences)
        elif case["aggregation"] == "token":
            total = total - objective.sum() / token_count
        else:
            total = total - objective.sum() / c["constantLength"] / len(sequences)
    assert low >= 2 and high >= 2 and capped >= 2, (low, high, capped)
    return total, {"clippedLow": low, "clippedHigh": high, "importanceCapped": capped}


def listed(nested):
    return [[[round(v.item(), 9) for v in tokens] for tokens in group] for group in nested]


def make(model_folder, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(model_folder), attn_implementation="eager", dtype=torch.float32
    )
    weights = load_file(os.path.join(model_folder, "model.safetensors"))
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    model = model.double()
    generator = torch.Generator().manual_seed(7)
    groups = make_groups(model.config.vocab_size, generator)
    noise = lambda like, scale: scale * torch.randn(like.shape, generator=generator, dtype=torch.float64)
    record, gradients = {"groups": groups, "constants": CONSTANTS, "adamw": ADAMW, "cases": []}, []

    for name, case in CASES.items():
        model.zero_grad()
        scores = [score(model, group, case["temperature"]) for group in groups]
        inputs = []
        for group in scores:
            inputs.append([])
            for log_p, _ in group:
                at = log_p.detach()
                # A shift of the whole sequence makes length-normalised ratios leave the clip range too.
                old = at + noise(at[:1], 0.4) + noise(at, 0.3)
                # What both sides read is fp32.
                triple = (old, old + noise(at, 0.3), at + noise(at, 0.5))
                inputs[-1].append(tuple(x.float().double() for x in triple))
        advantages, tau, mean_entropy = shaped_advantages(groups, scores, case)
        loss, counts = policy_loss(scores, inputs, advantages, case)
        loss.backward()
        gradients.append({n: p.grad.detach().clone() for n, p in model.named_parameters()})
        save_file({n: g.float() for n, g in gradients[-1].items()}, os.path.join(folder, f"{name}.safetensors"))
        column = lambda k: listed([[x[k] for x in group] for group in inputs])
        record["cases"].append(
            {"name": name} | case | counts
            | {
                "logProbabilities": listed([[s.detach() for s, _ in group] for group in scores]),
                "entropies": listed([[h for _, h in group] for group in scores]),
                "old": column(0), "behaviour": column(1), "reference": column(2),
                "advantages": listed(advantages),
                "tau": tau.item(), "meanEntropy": mean_entropy.item(), "loss": loss.item(),
            }
        )
        norm = torch.cat([g.flatten() for g in gradients[-1].values()]).norm().item()
        record["cases"][-1]["gradientNorm"] = norm
        print(f"{name}: loss {loss.item():.5f}, gradient norm {norm:.4f}, {counts}")

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=ADAMW["learningRate"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["epsilon"],
        weight_decay=ADAMW["weightDecay"],
    )
    for gradient in gradients[:2]:
        for name, parameter in model.named_parameters():
            parameter.grad = gradient[name].clone()
        torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["gradientClip"])
        optimizer.step()
    save_file(
        {n: p.detach().float().contiguous() for n, p in model.named_parameters()}, os.path.join(folder, "adamw.safetensors")
    )
    with open(os.path.join(folder, "step.json"), "w") as file:
        json.dump(record, file, separators=(",", ":"))
