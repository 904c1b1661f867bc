"""llama.cpp through its C API: prefill and decode of B sequences, without sampling, which flatters it.

    python llama.py MODEL.gguf NAME

Every decode step computes the logits of all sequences; the tokens that follow are random, so that nothing is spent on them.
"""

import ctypes
import sys

import llama_cpp
from measuring import THREADS, random_tokens, report, seconds_of

PROMPT, NEW = 64, 64


class Session:
    """A context for `batch` sequences of PROMPT + NEW tokens."""

    def __init__(self, model, batch):
        self.batch = batch
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = batch * 2 * (PROMPT + NEW)  # a sequence has n_ctx / n_seq_max cells, in multiples of 256
        parameters.n_seq_max = batch
        parameters.n_batch = parameters.n_ubatch = max(512, batch * PROMPT)
        parameters.n_threads = parameters.n_threads_batch = THREADS
        parameters.kv_unified = False
        parameters.no_perf = True
        self.context = llama_cpp.llama_init_from_model(model, parameters)
        if not self.context:
            raise RuntimeError("llama_init_from_model failed")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.space = llama_cpp.llama_batch_init(batch * PROMPT, 0, 1)
        vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.tokens = [random_tokens(PROMPT + NEW, index, vocabulary) for index in range(batch)]

    def run(self, begin, end):
        """Tokens begin ..< end of every sequence, as one batch; logits of each sequence's last one."""
        space, count = self.space, 0
        for sequence in range(self.batch):
            for position in range(begin, end):
                space.token[count] = self.tokens[sequence][position]
                space.pos[count] = position
                space.n_seq_id[count] = 1
                space.seq_id[count][0] = sequence
                space.logits[count] = position == end - 1
                count += 1
        space.n_tokens = count
        if llama_cpp.llama_decode(self.context, space) != 0:
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_get_logits(self.context)  # waits for them

    def decode(self):
        for position in range(PROMPT, PROMPT + NEW):
            self.run(position, position + 1)


def main():
    path, name = sys.argv[1:]
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise RuntimeError(f"{path} cannot be loaded")
    features = llama_cpp.llama_print_system_info().decode()
    used = [part.split("=")[0].strip() for part in features.split("|") if part.strip().endswith("= 1")]
    who = f"llama.cpp {name}"
    settings = f"llama-cpp-python {llama_cpp.__version__}, no sampling; {' '.join(used[:20])}"
    for batch in (1, 32):
        session = Session(model, batch)
        session.run(0, PROMPT)  # warms up
        session.decode()
        llama_cpp.llama_memory_clear(session.memory, True)
        prefill = seconds_of(lambda: session.run(0, PROMPT))
        report(f"prefill {batch}", who, batch * PROMPT, prefill, settings)
        report(f"decode {batch}", who, batch * NEW, seconds_of(session.decode), settings)
        llama_cpp.llama_batch_free(session.space)
        llama_cpp.llama_free(session.context)


main()
