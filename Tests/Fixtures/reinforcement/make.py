"""Makes loss.json: the algorithm of docs/ALGORITHM.md in PyTorch, written from the formulas alone.

    python make.py        # needs torch; writes loss.json beside this file

One random batch (4 prompts x 4 samples, 1 to 6 tokens), then for every preset x shaping x level the threshold, the factor
and the shaped advantages, and for every preset x shaping x aggregation x ratio x KL on/off x importance cap on/off the
loss and its autograd gradient with respect to the log-probabilities. Arithmetic in float64 on inputs rounded to float32.
"""

import itertools
import json
import pathlib

import torch

torch.manual_seed(20)
torch.set_default_dtype(torch.float64)
PROMPTS, GROUP, VOCABULARY = 4, 4, 13
GAMMA, SENSITIVITY, LAMBDA, ALPHA, KAPPA = 0.9, 1.3, 0.5, 0.4, 2.0
PREVIOUS_TAU, BETA, CAP, LENGTH = 1.5, 0.07, 1.2, 9.0


def f32(x):
    return x.to(torch.float32).to(torch.float64)


lengths = [[int(n) for n in row] for row in torch.randint(1, 7, (PROMPTS, GROUP))]
lengths[0][0], lengths[0][1] = 1, 6
rewards = torch.tensor([[1.1, 0.1, 0, 1.1], [0, 0.1, 0, 0], [1.1, 1.1, 1.1, 1.1], [0.6, 0.35, 1.1, 0.1]])
rewards = f32(rewards)


def sequence(length):
    """Old policy from random logits of random sharpness; the others are old plus noise of a size that clips both ways."""
    logits = torch.randn(length, VOCABULARY) * torch.rand(1) * 4
    p = torch.log_softmax(logits, -1)
    token = torch.randint(0, VOCABULARY, (length,))
    old = f32(p[torch.arange(length), token])
    return {
        "entropy": f32(-(p.exp() * p).sum(-1)),
        "old": old,
        "policy": f32(old + 0.3 * torch.randn(length)),
        "behaviour": f32(old + 0.3 * torch.randn(length)),
        "kept": f32(-0.3 * torch.rand(length)),
        "reference": f32(old + 0.5 * torch.randn(length)),
    }


batch = [[sequence(n) for n in row] for row in lengths]
flat = [s for row in batch for s in row]

PRESETS = {
    "grpo": dict(baseline="mean", std=True, aggregation="sequence", ratio="token", low=0.2, high=0.2),
    "dr_grpo": dict(baseline="mean", std=False, aggregation="constant", ratio="token", low=0.2, high=0.2),
    "dapo": dict(baseline="mean", std=True, aggregation="token", ratio="token", low=0.2, high=0.28),
    "gspo": dict(baseline="mean", std=True, aggregation="sequence", ratio="sequence", low=3e-4, high=4e-4),
    "rloo": dict(baseline="loo", std=False, aggregation="constant", ratio="token", low=0.2, high=0.2),
}


def advantages(preset):
    if preset["baseline"] == "mean":
        a = rewards - rewards.mean(1, keepdim=True)
    else:
        a = torch.stack(
            [torch.stack([r[i] - torch.cat([r[:i], r[i + 1 :]]).mean() for i in range(GROUP)]) for r in rewards]
        )
    return a / (rewards.std(1, keepdim=True) + 1e-4) if preset["std"] else a


means = torch.stack([torch.stack([s["entropy"].mean() for s in row]) for row in batch])
batch_mean = means.mean()
tau = GAMMA * PREVIOUS_TAU + (1 - GAMMA) * batch_mean


def factors(level):
    h = means if level == "sequence" else means.mean(1, keepdim=True).expand(-1, GROUP)
    return torch.tanh((h - tau) / torch.clamp(tau, min=1e-6) * SENSITIVITY)


def shaped(a, shaping, level):
    """[prompt][sample][T]"""
    omega = factors(level)
    out = []
    for p, row in enumerate(batch):
        for i, s in enumerate(row):
            value = a[p, i].expand(len(s["entropy"]))
            if shaping == "uadt":
                sign = 1 if a[p, i] >= 0 else -1
                value = value * (1 + sign * LAMBDA * omega[p, i])
            elif shaping == "entropy_bonus":
                value = value + torch.minimum(ALPHA * s["entropy"], value.abs() / KAPPA)
            out.append(value)
    return out


def loss_of(policies, values, preset, aggregation, ratio, beta, cap):
    low, high = torch.tensor(preset["low"], dtype=torch.float32), torch.tensor(preset["high"], dtype=torch.float32)
    terms = []
    for s, logp, a in zip(flat, policies, values):
        log_ratio = logp - s["old"]
        if ratio == "sequence":
            log_ratio = log_ratio.mean().expand(len(logp))
        rho = log_ratio.exp()
        j = torch.minimum(rho * a, torch.clamp(rho, 1 - low.double(), 1 + high.double()) * a)
        if beta:
            d = s["reference"] - logp
            j = j - f32(torch.tensor(beta)) * (d.exp() - d - 1)
        if cap:
            truncated = s["behaviour"] - s["kept"]
            j = j * torch.clamp((s["old"] - truncated).exp(), max=float(f32(torch.tensor(cap))))
        terms.append(j)
    if aggregation == "sequence":
        return -torch.stack([j.mean() for j in terms]).mean()
    if aggregation == "token":
        return -torch.cat(terms).mean()
    return -torch.stack([j.sum() / LENGTH for j in terms]).mean()


def numbers(x):
    return [float(f"{v:.9g}") for v in torch.as_tensor(x).flatten().tolist()]


def nested(values):
    it = iter(values)
    return [[numbers(next(it)) for _ in row] for row in batch]


out = {
    "constants": dict(gamma=GAMMA, sensitivity=SENSITIVITY, lambda_=LAMBDA, alpha=ALPHA, kappa=KAPPA,
                      previousTau=PREVIOUS_TAU, beta=BETA, cap=CAP, length=LENGTH),
    "rewards": [numbers(r) for r in rewards],
    "batch": {k: [[numbers(s[k]) for s in row] for row in batch] for k in flat[0]},
    "meanEntropy": float(batch_mean),
    "tau": float(tau),
    "factors": {level: [numbers(r) for r in factors(level)] for level in ("sequence", "group")},
    "advantages": [],
    "losses": [],
}
SHAPINGS = ("none", "uadt", "entropy_bonus")
clipped = [0, 0]
for name, preset in PRESETS.items():
    a = advantages(preset)
    for shaping in SHAPINGS:
        for level in ("sequence", "group"):
            out["advantages"].append(dict(preset=name, shaping=shaping, level=level, samples=[numbers(r) for r in a],
                                          tokens=nested(shaped(a, shaping, level))))
        values = shaped(a, shaping, "sequence")
        for aggregation, ratio, beta, cap in itertools.product(
            ("sequence", "token", "constant"), ("token", "sequence"), (0, BETA), (0, CAP)
        ):
            policies = [s["policy"].clone().requires_grad_() for s in flat]
            loss = loss_of(policies, values, preset, aggregation, ratio, beta, cap)
            loss.backward()
            out["losses"].append(dict(preset=name, shaping=shaping, aggregation=aggregation, ratio=ratio, kl=bool(beta),
                                      cap=bool(cap), native=(aggregation, ratio) == (preset["aggregation"], preset["ratio"]),
                                      loss=float(loss.detach()), gradients=numbers(torch.cat([p.grad for p in policies]))))
            for s, v in zip(flat, values):
                rho = (s["policy"] - s["old"]).exp()
                clipped[0] += int(((v < 0) & (rho < 1 - preset["low"])).sum())
                clipped[1] += int(((v > 0) & (rho > 1 + preset["high"])).sum())
assert min(clipped) > 100, "both sides of the clip must be active"
path = pathlib.Path(__file__).parent / "loss.json"
path.write_text(json.dumps(out, separators=(",", ":")).replace('{"preset"', '\n{"preset"') + "\n")
print(path, path.stat().st_size, "bytes; clipped low and high:", clipped)
