"""Measures Fovea and its peers on the same weights and shapes, one after another in rounds, and prints one table.

    python compare.py [--rounds N] [--only WORD] [--prefix COMMAND] [--json FILE]

make bench-peers installs what it needs and runs it. Every measurement is a process of its own; its figures are the best of the
rounds, and the worst is printed next to them, because a machine is never quite idle. The table names what could not run.
--prefix goes before every measurement, for example 'chrt -f 50' on a machine that does other things as well.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODEL = os.path.join(ROOT, "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
WEIGHTS = os.path.join(ROOT, ".build", "peers", "weights")
FOVEA = os.environ.get("FOVEA", os.path.join(ROOT, ".build", "release", "fovea"))
TIMEOUT_SECONDS = 900

# title, figure, ours, peers that the target is about (a pattern), what to reach: at least this ratio, or at most these bytes
TARGETS = [
    ("sampled decode, B = 32, against BF16", "decode 32", "Fovea", r"BF16|bfloat16", 3.0),
    ("sampled decode, B = 32, against any", "decode 32", "Fovea", r".", None),
    ("sampled decode, B = 32, int8, against any", "decode 32", "Fovea int8", r".", None),
    ("prefill, B = 32", "prefill 32", "Fovea", r".", 1.1),
    ("decode, B = 1, exact, against BF16", "decode 1", "Fovea", r"BF16|bfloat16", 1.0),
    ("decode, B = 1, int8, against Q4_0", "decode 1", "Fovea int8", r"Q4_0", 1.0),
    ("learner, 16 x 128", "learner 16 x 1 + 1 x 128", "Fovea", r".", 1.3),
    ("learner, 4 x 512 prompt, 8 x 64", "learner 4 x 512 + 8 x 64", "Fovea", r".", 3.0),
    ("whole GRPO step, 4 x 8 x 64", "step 4 x 64 + 8 x 64", "Fovea", r"TRL bf16", 2.5),
    ("the same, against stock fp32", "step 4 x 64 + 8 x 64", "Fovea", r"TRL stock", None),
]
MEMORY_TARGETS = [
    ("learner memory at that step", "learner memory", r"TRL bf16", 2.5e9),
    ("worker memory, 32 slots x 512", "worker memory", None, 700e6),
]


class Measurement:
    """A process to run: its command, and how its output becomes figures."""

    def __init__(self, name, command, group, environment=None, reader=None):
        self.name, self.command, self.group = name, command, group
        self.environment = environment or {}
        self.reader = reader or read_figures


def read_figures(output):
    return [json.loads(line[7:]) for line in output.splitlines() if line.startswith("FIGURE ")]


def read_fovea(output):
    """Rows of `fovea bench engine --json`, under the names that the peers use."""
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    header = next(row for row in rows if "peak_gigaflops" in row)
    settings = (
        f"{header['instructions']}, {header['precision']}; peak {header['peak_gigaflops']:.0f} GFLOP/s, "
        f"memory {header['memory_gigabytes_per_second']:.0f} GB/s")
    figures = []
    for row in rows:
        if row.get("name", "").startswith("products"):
            figures.append({
                "what": row["name"], "who": "Fovea", "tokens": row["tokens"], "seconds": row["seconds"],
                "settings": f"{row['share_of_peak']:.0%} of the peak of as many threads"})
        match = re.fullmatch(r"(int8 )?(?:(decode) B=(\d+), 64\+64|(prefill) B=(\d+) x 64|((?:learner|step) [\dx +]+))",
                             row.get("name", ""))
        if match:
            int8, decode, decode_batch, prefill, prefill_batch, rest = match.groups()
            what = rest or f"{decode or prefill} {decode_batch or prefill_batch}"
            figures.append({
                "what": what, "who": "Fovea int8" if int8 else "Fovea", "tokens": row["tokens"],
                "seconds": row["seconds"], "settings": settings})
    return figures


def measurements(threads):
    python = sys.executable
    peer = {"OMP_NUM_THREADS": str(threads), "BENCH_THREADS": str(threads), "OMP_PROC_BIND": "true", "PYTHONWARNINGS": "ignore",
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    # Memory that was returned would have to be asked for again at the next step.
    fast = dict(peer, LD_PRELOAD=tcmalloc(), TCMALLOC_RELEASE_RATE="0") if tcmalloc() else peer
    folder = os.path.join(WEIGHTS, "hf")

    def fovea(part, *options):
        command = [FOVEA, "bench", "engine", "--model", MODEL, "--threads", str(threads), "--json", "--only", part, *options]
        return Measurement(" ".join(["Fovea", part, *options]), command, part, reader=read_fovea)

    def script(name, group, file, *arguments, environment=fast):
        return Measurement(name, [python, os.path.join(HERE, file), *arguments], group, environment)

    return [
        fovea("rollout", "--batch", "32"),
        fovea("rollout", "--batch", "1"),
        script("llama.cpp BF16", "rollout", "llama.py", os.path.join(WEIGHTS, "bf16.gguf"), "BF16", environment=peer),
        script("llama.cpp Q4_0", "rollout", "llama.py", os.path.join(WEIGHTS, "q4_0.gguf"), "Q4_0", environment=peer),
        script("llama.cpp Q4_1", "rollout", "llama.py", MODEL, "Q4_1", environment=peer),
        script("transformers bfloat16", "rollout", "torch_rollout.py", folder, "bfloat16"),
        fovea("learner"),
        script("PyTorch 16 x 128", "learner", "torch_training.py", folder, "plain", "bfloat16"),
        script("PyTorch 4 x 512 + 8 x 64", "learner", "torch_training.py", folder, "prompt", "bfloat16"),
        fovea("step"),
        script("TRL bf16", "step", "trl_step.py", folder, "bf16"),
        script("TRL bf16, fp32 weights", "step", "trl_step.py", folder, "bf16-fp32-weights"),
        script("TRL stock fp32", "step", "trl_step.py", folder, "stock", environment=peer),
    ]


def tcmalloc():
    """The path of Debian's libtcmalloc-minimal4, or None."""
    path = f"/usr/lib/{platform.machine()}-linux-gnu/libtcmalloc_minimal.so.4"
    return path if os.path.exists(path) else None


class Results:
    """Figures by (what, who): tokens a second of every round, settings, and the process's peak memory."""

    def __init__(self):
        self.rates, self.settings, self.memory, self.failures = {}, {}, {}, {}

    def add(self, figure, peak_bytes):
        key = (figure["what"], figure["who"])
        self.rates.setdefault(key, []).append(figure["tokens"] / figure["seconds"])
        self.settings[key] = figure["settings"]
        self.memory[key] = max(peak_bytes, self.memory.get(key, 0))

    def best(self, what, who_pattern):
        """The highest rate, and whose it is; None when nobody has one."""
        found = [
            (max(rates), who) for (w, who), rates in self.rates.items() if w == what and re.search(who_pattern, who)]
        return max(found, default=None)


def run(measurement, prefix, results):
    print(f"  {measurement.name} ...", end=" ", flush=True)
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | measurement.environment
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                prefix + measurement.command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
            timer = Deadline(process)
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        except OSError as error:
            results.failures[measurement.name] = str(error)
            return print(error)
        output.seek(0)
        text = output.read().decode(errors="replace")
    figures = measurement.reader(text) if process.returncode == 0 else []
    for figure in figures:
        results.add(figure, usage.ru_maxrss * 1024)
    if not figures:
        lines = [line for line in text.strip().splitlines() if line.strip()] or ["no output"]
        results.failures[measurement.name] = f"exit {process.returncode}: {lines[-1][:160]}"
    print(f"{time.monotonic() - start:.0f} s" if figures else results.failures[measurement.name])


class Deadline:
    """Ends a process that takes too long."""

    def __init__(self, process):
        import threading

        self.timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
        self.timer.start()

    def cancel(self):
        self.timer.cancel()


def farm_memory(steps, tokens):
    """Peak resident bytes of the learner and of the one worker of a farm that takes steps of 4 prompts x 8 samples x `tokens`
    tokens: a temperature of 100 lets no sample end early, so that all 32 slots fill up."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                FOVEA, "train", "--config", "configs/arithmetic.yaml", "--run-directory", folder + "/run",
                f"run.steps={steps}", "farm.workers=1", "rollout.slots=32", "rollout.prompts_per_step=4", "rollout.group_size=8",
                f"rollout.sampling.max_new_tokens={tokens}", "rollout.sampling.temperature=100",
                "rollout.stop_strings=[]", "task.examples=1", "algorithm.dynamic_sampling=false",
                "evaluation.prompts=1"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, text=True)
        timer = Deadline(process)
        peaks = {}
        while process.poll() is None:
            for role, peak in children(process.pid):
                peaks[role] = max(peak, peaks.get(role, 0))
            time.sleep(0.1)
        timer.cancel()
        text = process.stdout.read()
        if process.returncode != 0 or "learner" not in peaks or "worker" not in peaks:
            raise RuntimeError((text.strip().splitlines() or ["no output"])[-1][:160])
        return peaks


def children(parent):
    """Role and peak memory of each child process of a farm."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/status") as file:
                status = file.read()
            if not re.search(rf"^PPid:\s+{parent}$", status, re.M):
                continue
            with open(f"/proc/{name}/cmdline") as file:
                role = (file.read().split("\0") + ["", ""])[1]
            peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
            if peak and role in ("learner", "worker"):
                yield role, int(peak.group(1)) * 1024
        except OSError:
            continue  # it has just ended


def machine(threads):
    with open("/proc/cpuinfo") as file:
        text = file.read()
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = set((re.search(r"flags\s*:\s*(.*)", text) or [None, ""])[1].split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if flag in flags]
    return (
        f"{name.group(1) if name else platform.machine()}, {os.cpu_count()} cores, {threads} threads, {' '.join(known)}; "
        f"{platform.freedesktop_os_release().get('PRETTY_NAME', '')}, Linux {platform.release()}; "
        f"load {os.getloadavg()[0]:.1f} before the start; OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', 'unset')}")


def table(results, peaks):
    lines = ["| what | Fovea | best peer | ratio | reach |", "|---|---|---|---|---|"]
    for title, what, ours, pattern, reach in TARGETS:
        mine = results.best(what, f"^{ours}$")
        peer = results.best(what, rf"^(?!Fovea).*({pattern})")
        tokens = 2048 if what.startswith("step") else None

        def rate(value):
            return f"{tokens / value:.1f} s" if tokens else f"{value:,.0f} tok/s"

        cells = [
            title, rate(mine[0]) if mine else "not measured",
            f"{peer[1]} {rate(peer[0])}" if peer else "not measured",
            f"{mine[0] / peer[0]:.2f}" if mine and peer else "", f"{reach}" if reach else ""]
        lines.append("| " + " | ".join(cells) + " |")
    for title, name, pattern, reach in MEMORY_TARGETS:
        mine = peaks.get(name)
        peer = [(value, who) for (what, who), value in results.memory.items() if pattern and re.search(pattern, who)]
        best = min(peer, default=None)
        cells = [
            title, f"{mine / 1e9:.2f} GB" if mine else "not measured",
            f"{best[1]} {best[0] / 1e9:.2f} GB" if best else "",
            f"{mine / best[0]:.2f}" if mine and best else "", f"at most {reach / 1e9:.1f} GB"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def details(results):
    lines = ["| figure | who | tok/s, best | worst | peak memory | settings |", "|---|---|---|---|---|---|"]
    for (what, who), rates in sorted(results.rates.items()):
        key = (what, who)
        lines.append(
            f"| {what} | {who} | {max(rates):,.1f} | {min(rates):,.1f} | {results.memory[key] / 1e9:.2f} GB "
            f"| {results.settings[key]} |")
    lines += [f"| | {name} | could not be measured | | | {reason} |" for name, reason in results.failures.items()]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help="measurements whose name or group contains this word")
    parser.add_argument("--prefix", default="", help="a command that goes before every measurement")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="a file for all figures")
    arguments = parser.parse_args()
    prefix = shlex.split(arguments.prefix)
    chosen = [
        m for m in measurements(arguments.threads)
        if not arguments.only or arguments.only in m.name or arguments.only == m.group]
    head = machine(arguments.threads)
    print(head, flush=True)
    results, peaks = Results(), {}
    for index in range(arguments.rounds):
        print(f"round {index + 1} of {arguments.rounds}", flush=True)
        for measurement in chosen:
            run(measurement, prefix, results)
    if not arguments.only or arguments.only == "memory":
        for name, role, steps, tokens in [("learner memory", "learner", 2, 64), ("worker memory", "worker", 1, 480)]:
            try:
                peaks[name] = farm_memory(steps, tokens)[role]
                print(f"  {name}: {peaks[name] / 1e9:.2f} GB", flush=True)
            except (OSError, RuntimeError) as error:
                results.failures[name] = str(error)
                print(f"  {name}: {error}")
    if not tcmalloc():
        print("libtcmalloc-minimal4 is not installed: the PyTorch peers ran without it")
    print("\n" + "\n".join(table(results, peaks)) + "\n\n" + "\n".join(details(results)))
    if arguments.json:
        with open(arguments.json, "w") as file:
            rows = [
                {"what": what, "who": who, "rates": rates, "peak_bytes": results.memory[(what, who)],
                 "settings": results.settings[(what, who)]} for (what, who), rates in results.rates.items()]
            json.dump({"machine": head, "figures": rows, "memory": peaks, "failures": results.failures}, file, indent=1)


main()
