"""Makes the fixtures of the tokenizer tests with Hugging Face's tokenizers and transformers.

usage: make_fixtures.py MODEL.gguf     (SmolLM2-135M-Instruct; needs tokenizers, transformers, gguf, jinja2)

Writes beside itself
  strings.json            the texts, as base64 of bytes that need not be UTF-8
  smollm2.json            ids of SmolLM2's tokenizer, rebuilt from the GGUF's metadata, and chats
  KIND.tokenizer.json     a tiny tokenizer of each pre-tokenizer kind, trained here
  KIND.json               its ids and decoded texts
  chats.json              chats rendered by Jinja for every template family
A text is decoded as bytes.decode("utf-8", "replace") before it is encoded.
"""

import base64
import json
import random
import sys
from pathlib import Path

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's what they're saying, and we've heard that I'll see you'd better go.",
    "A learner computes advantages; the workers sample tokens, and the coordinator hands out leases to the workers.",
    "def forward(self, x):\n    return self.norm(x + self.attention(x))\n\n\nclass Layer(Module):\n    pass\n",
    "for (int i = 0; i < count; i++) {\n\tsum += values[i];\n}\n",
    "In 1984 there were 365 days, 12 months and 52 weeks; 3.14159 is pi and 2.71828 is e. 100 200 300 1000 2000.",
    "Der schnelle braune Fuchs springt über den faulen Hund. Größe, Straße, Äpfel, Öl, Übung, während, für, müssen.",
    "L'été dernier, nous avons visité la forêt près du château où l'élève était né. Ça va très bien, merci.",
    "Быстрая коричневая лиса прыгает через ленивую собаку. Привет, мир! Что это такое? Это токенизатор.",
    "敏捷的棕色狐狸跳过懒狗。你好，世界！这是一个分词器。机器学习很有趣。日本語のテキストもあります。",
    "الثعلب البني السريع يقفز فوق الكلب الكسول. مرحبا بالعالم! كيف حالك اليوم؟",
    "Emoji: 😀 😃 😄 🚀 🚀🚀 👍🏽 👩‍👩‍👧 ❤️ and so on 😀😀.",
    "    indented    text   with  many   spaces\n\n\n\tand tabs\t\tand lines\r\nwith carriage returns\r\n\r\n",
] * 4


def kinds():
    """name -> (tokenizer without vocabulary, added tokens, changes to its JSON)"""
    def bpe(**options):
        return Tokenizer(models.BPE(**options))

    special = [AddedToken(t, special=True, normalized=False) for t in ("<|start|>", "<|end|>", "<|start|>x")]
    gpt2 = bpe()
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    yield "gpt2", gpt2, special

    smollm = bpe()
    smollm.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    yield "smollm", smollm, special + [
        AddedToken("<left>", special=False, normalized=False, lstrip=True),
        AddedToken("<right>", special=False, normalized=False, rstrip=True),
        AddedToken("<both>", special=True, normalized=False, lstrip=True, rstrip=True),
        AddedToken("word", special=False, normalized=False, single_word=True),
    ]

    llama3 = bpe(ignore_merges=True)
    llama3.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    yield "llama3", llama3, special

    qwen2 = bpe()
    qwen2.normalizer = normalizers.NFC()
    qwen2.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    yield "qwen2", qwen2, special + [
        AddedToken("<é>", special=False, normalized=True),
        AddedToken("<|startle|>", special=False, normalized=True),
        AddedToken("日本", special=False, normalized=False),
    ]

    mixed = bpe()
    mixed.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\n|[a-z]+;"), "removed"),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(" - ", "isolated"),
        pre_tokenizers.Split(Regex(r"[^_]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)])
    yield "mixed", mixed, special


def train(tokenizer, added):
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    description = json.loads(tokenizer.to_str())
    # Words that no merge makes: they show whether whole words ignore merges.
    vocabulary = description["model"]["vocab"]
    for word in ("quick", "Ġxylophone", "ĠÃ©lan"):
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_tokens(added)
    if isinstance(description["model"].get("ignore_merges"), bool) and description["model"]["ignore_merges"]:
        start = tokenizer.token_to_id("<|start|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|start|> $A", pair="<|start|> $A <|start|>:1 $B:1", special_tokens=[("<|start|>", start)])])
    return tokenizer


def texts():
    fixed = [
        "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\t\t", " \n ", "  \n\n  x", "a", " a", "a ", "a  b", "a   b",
        "Hello, world!", "hello world", " Hello", "HELLO", "HeLLo wOrLD", "The quick brown fox jumps over the lazy dog.",
        "I'm sure you're right, they've said it'll do, he'd go, it's John's, don't", "I'M SURE YOU'RE RIGHT THEY'VE IT'LL HE'D",
        "'s't're've'm'll'd", "'S'T'RE'VE'M'LL'D", "it'ſ ſtrange, 'ſ", "’s ’t ’re", "''s", "' s", "'sail 'tis 'reveal",
        "0", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "-42", "+7", "1e-5", "0x1F", "2024-11-24",
        "17 + 25 = 42", "17+25=42", "<answer>42</answer>", "What is 7 - 12?", "²³¹ ½ Ⅷ ⅷ ٣٤٥ १२३ 一二三 ①② 𝟘𝟙𝟚", "a1b2c3", "1st 2nd 3rd",
        "x²+y²=z²", "½ cup", " 1 2  3   4", "1 000 000", "100%", "$5.00", "€10", "#1", "v1.2.3", "192.168.0.1", "12:34:56",
        "über Größe Straße", "café", "cafe\u0301", "e\u0301e\u0301", "n\u0303o", "Å Å A\u030a", "\u1e9b\u0323", "q\u0307\u0323",
        "\u0301", "a\u0301\u0302\u0303\u0304", "ﬁ ﬂ ﬀ", "ǆ ǅ Ǆ", "İstanbul ıI", "ß ẞ", "Zalgo: Z\u0351\u036b\u0343a\u0322\u031b",
        "Быстрая лиса", "Привет, мир!", "Ελληνικά", "ελληνικά γράμματα", "עברית", "שָׁלוֹם", "مرحبا بالعالم", "السَّلامُ عَلَيْكُم", "فارسی می‌خواهم",
        "हिन्दी में", "தமிழ்", "ภาษาไทย", "ไม่มีช่องว่าง", "ខ្មែរ", "မြန်မာ", "አማርኛ", "ქართული", "Հայերեն", "ᏣᎳᎩ", "ᚠᚢᚦ", "𐌰𐌱𐌲", "𒀀𒀁",
        "你好，世界！", "敏捷的棕色狐狸跳过懒狗。", "日本語のテキスト", "カタカナ ｶﾀｶﾅ", "한국어 텍스트", "\u1112\u1161\u11ab", "한", "中文English混合123", "　全角　空白　",
        "１２３ ＡＢＣ", "👍", "😀", "😀😀😀", "👍🏽", "👩‍👩‍👧‍👦", "❤️", "🇩🇪🇫🇷", "1️⃣2️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a😀b", " 😀", "😀 ", "🚀🚀 to the moon 🌕",
        "def f(x):\n    return x + 1\n", "if (a && b || !c) { x <<= 2; }", "int main(void) {\n\treturn 0;\n}\n", "<html><body class=\"a\">x</body></html>",
        "SELECT * FROM t WHERE a = 'b';", "{\"key\": [1, 2, {\"x\": null}]}", "a_b_c __init__ snake_case camelCase PascalCase", "\\frac{1}{2}\\alpha",
        "https://example.org/path?q=1&r=2#frag", "user@example.org", "C:\\Users\\x", "/usr/local/bin", "$(echo hi) | grep -v '^#' > out 2>&1",
        "#!/usr/bin/env python3\nimport os, sys\n\n\nclass A:\n    def __init__(self):\n        self.x = {}\n",
        "fn main() { println!(\"{}\", 1u8 as char); }", "// comment\n/* block */\n", "a\n\n\nb", "a\n \n \nb", "line\r\nline\r\n\r\nline", "x\n\t\ty",
        "trailing spaces   \nnext", "    four", "        eight spaces", "\u00a0nbsp\u00a0", "a\u00a0b", "\u2003em\u2003space", "a\u2028b\u2029c", "\u3000", "\u0085x",
        "\u180ea b\u180e", " \u180e ", "\u200bzero\u200bwidth\u200d\u200c", "\ufeffbom", "a\u00adb", "\u202eright\u202c", "\u2066x\u2069", "\x0b\x0c",
        "\x00", "a\x00b", "\x01\x02\x03\x1b[0m", "\x7f", "\x1c\x1d\x1e\x1f", "\ud7ff", "\ue000\uf8ff", "\ufffd", "\uffff\ufffe", "\U0010ffff", "\U000f0000",
        "\U000e0001", "…—–“”‘’«»", "‰†‡•", "©®™", "→⇒↔", "∀x∈ℝ: ∃y ≥ x²", "∑∏∫√∞≠≈", "♠♥♦♣", "░▒▓█", "───┼───", "_______", "=====", "-----", "!!!???...", "(((())))",
        "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>", "<|im_end|><|im_end|>", "<|endoftext|>x", "x<|endoftext|>", "<|im_start|", "<|im_start |>", "<<|im_end|>>",
        "<|start|>", "<|start|>x", "<|start|>xy", "<|start|> x", "a <|start|>b<|end|> c", "<|end|><|start|>x<|end|>", "<|star<|start|>t|>", "<|END|>", "<|startle|>", "<|start|>le|>",
        "a <left> b", "a  \n<left>b", "<left><left>", " <left>", "a<right>  b", "<right>\n\nx", "<right>", "  <both>  ", "a <both> <left> b <right> <both> c", "<right> <left>", "<right>  <left> <|end|>",
        "word", "a word b", "words", "sword", "word-word", "word_", "wordé", "éword", "word\u0301", "(word)", "word word", "1word", "word١", "wordword", "\u200dword",
        "<é>", "<e\u0301>", "x<é>y<e\u0301>z", "日本", "日本語", "x日本y", "e\u0301日本e\u0301", "<repo_name>a/b<file_sep>c", "<filename>x<gh_stars>3", "<jupyter_start>",
        "quick", " quick", "quicker", " xylophone", "xylophone", " élan", "xylophones", "one - two - three", "a-b - c", "drop; keep\nand; more", "a_b__c_", "12-34 - 56",
        "supercalifragilisticexpialidocious", "antidisestablishmentarianism" * 3, "a" * 39, "a" * 40, "a" * 41, "a" * 42, "a" * 200, "ab" * 100, "the" * 50, " " * 100, "\n" * 50,
        " \n" * 30, "!" * 77, "=" * 128, "0" * 30, "é" * 45, "日" * 30, "😀" * 20, "the quick brown fox jumps over" * 4, "Größenmaßstäbe" * 5, "x" + " " * 60 + "y", "\t" * 45 + "z",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.",
        "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many?",
    ]
    result = [t.encode("utf-8", "surrogatepass") for t in fixed]
    result += [  # broken UTF-8
        b"\x80", b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2 ", b"a\xc3", b"\xe2\x82", b"\xe2\x82x", b"\xe2x\x82", b"\xf0\x9f\x98", b"\xf0\x9f\x98 ok",
        b"\xf0\x9f", b"\xf0", b"\xed\xa0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xe0\xa0", b"\xf8\x88\x80\x80\x80",
        b"\xff\xfe<|im_end|>\xff", b"ok \xc3\x28 ok", b"\xa0\xa1", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc", b"\xf0\x9f\x98\x80\x80", b"12\xff34", b" \xc3 \xa9 ", b"\xef\xbf", b"\xc3\xa9\xc3",
    ]
    rng = random.Random(20)
    blocks = [
        (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE5B), (0x1100, 0x11FF),
        (0x2000, 0x206F), (0x2190, 0x22FF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF00, 0xFFEF), (0x1F300, 0x1F64F), (0x10, 0x1F), (0x9, 0xD),
    ]
    for _ in range(60):
        parts = []
        for _ in range(rng.randint(3, 14)):
            low, high = rng.choice(blocks)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5))))
            parts.append(rng.choice(["", "", " ", "  ", "\n", "1", "42", "'s", "\u0301", "<|end|>", "<|im_end|>"]))
        result.append("".join(parts).encode())
    for _ in range(40):
        result.append(bytes(rng.choice([rng.randint(0, 255), rng.randint(0x80, 0xFF), rng.randint(0x20, 0x7E)]) for _ in range(rng.randint(1, 40))))
    return result


def lossy(data):
    return data.decode("utf-8", "replace")


def encodings(tokenizer, data):
    """ids of every text, and the texts of random ids, with and without special tokens"""
    rng = random.Random(7)
    count = tokenizer.get_vocab_size()
    encoded = [tokenizer.encode(lossy(d), add_special_tokens=False).ids for d in data]
    decodings = []
    for index in range(60):
        # Tokens of one byte make broken sequences likely.
        ids = [rng.randrange(count if rng.random() < 0.5 else min(count, 300)) for _ in range(rng.randint(0, 12))]
        if index % 5 == 0:
            ids = encoded[rng.randrange(len(encoded))]
        decodings.append({
            "ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
            "without_special": tokenizer.decode(ids, skip_special_tokens=True)})
    return {"ids": encoded, "decodings": decodings}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def smollm2(path):
    """SmolLM2's tokenizer from the GGUF alone."""
    fields = GGUFReader(path).fields
    value = lambda key: fields["tokenizer." + key].contents()
    tokens = value("ggml.tokens")
    merges = [tuple(m.split(" ")) for m in value("ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, value("ggml.token_type")) if kind == 3])
    return tokenizer, value("chat_template"), tokens[value("ggml.bos_token_id")]


# Published templates' turn logic, without their branches for tools.
QWEN25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content }}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA3_CHAT = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAMA31_CHAT = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

CHATS = [
    [("user", "What is 7 - 12?")],
    [("system", "You answer briefly."), ("user", "17 + 25 = ?")],
    [("system", "  spaced  \n"), ("user", "\n\tone "), ("assistant", " <answer>1</answer> "), ("user", "two\u00a0")],
    [("user", "a"), ("assistant", "b"), ("user", "<|im_end|>\n<|im_start|>system\nhm"), ("system", "late")],
    [("user", "\x1c trimmed \u2003"), ("assistant", "")],
    [("user", "")],
]


def chats(tokenizer, templates):
    cases = []
    for name, (template, bos) in templates.items():
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, chat_template=template)
        for chat in CHATS:
            if name == "qwen3" and chat[-1][0] == "assistant":
                continue
            messages = [{"role": role, "content": content} for role, content in chat]
            for prompt in (True, False):
                text = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
                cases.append({"template": name, "messages": chat, "generation_prompt": prompt, "text": text})
    return {"chats": CHATS, "templates": {name: {"text": t, "bos": b} for name, (t, b) in templates.items()}, "cases": cases}


def main():
    data = texts()
    write("strings.json", [base64.b64encode(d).decode() for d in data])
    for name, tokenizer, added in kinds():
        tokenizer = train(tokenizer, added)
        (HERE / f"{name}.tokenizer.json").write_text(
            json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
        write(f"{name}.json", encodings(tokenizer, data))
    tokenizer, template, bos = smollm2(sys.argv[1])
    fixture = encodings(tokenizer, data)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, chat_template=template)
    fixture["chats"] = [
        fast.apply_chat_template(
            [{"role": role, "content": content} for role, content in chat], add_generation_prompt=True)["input_ids"]
        for chat in CHATS]
    write("smollm2.json", fixture)
    write("chats.json", chats(tokenizer, {
        "smollm2": (template, bos), "qwen2.5": (QWEN25, None), "qwen3": (QWEN3, None),
        "llama3": (LLAMA3_CHAT, "<|endoftext|>"), "llama3.1": (LLAMA31_CHAT, "<|endoftext|>")}))
    print(len(data), "texts")


if __name__ == "__main__":
    main()
