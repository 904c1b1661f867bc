"""Twenty prompts of 5 to 200 tokens: prose, code, numbers, other languages, chats."""


def chat(*turns):
    text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return text + "<|im_start|>assistant\n"


SYSTEM = (
    "You answer arithmetic questions. Think briefly between <think> and </think>, then give only the number between "
    "<answer> and </answer>."
)

PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a small",
    "Water boils at 100 degrees Celsius because",
    "1 2 3 4 5 6 7 8 9 10 11 12 13",
    "What is 17 + 25? 17 + 25 =",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "import numpy as np\n\ndef softmax(x):\n    \"\"\"Row-wise softmax.\"\"\"\n    x = x - x.max(axis=-1, keepdims=True)\n",
    "for (int i = 0; i < n; ++i) {\n  sum += values[i] * weights[i];\n}\nreturn",
    "SELECT name, COUNT(*) AS visits FROM patients JOIN visits ON patients.id = visits.patient WHERE visits.year = 2021 GROUP",
    "Die Netzhaut ist eine lichtempfindliche Schicht im Auge. Sie",
    "La rétine transforme la lumière en signaux électriques, puis",
    "El perro corre por el parque mientras los niños",
    "日本の首都は東京です。フランスの首都は",
    "Привет! Как дела? Сегодня хорошая погода,",
    "Emoji 🙂🚀 and symbols ∑∫√ ≤ ≥ in one line: 3.14159, 2.71828, 1e-5, 0xFF. Next:",
    chat(
        ("system", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
        ("user", "Name three colours of the rainbow."),
    ),
    chat(("system", SYSTEM), ("user", "What is 14 - 9?")),
    chat(
        ("system", SYSTEM),
        ("user", "What is 3 + 4?"),
        ("assistant", "<think>3 + 4 = 7</think><answer>7</answer>"),
        ("user", "What is 12 + 6?"),
        ("assistant", "<think>12 + 6 = 18</think><answer>18</answer>"),
        ("user", "What is 15 + 8?"),
    ),
    "Diabetic retinopathy is a complication of diabetes that damages the blood vessels of the retina. In its early, "
    "non-proliferative stage, small bulges called microaneurysms appear in the vessel walls and may leak fluid or blood "
    "into the surrounding tissue. As the disease progresses, vessels close, the retina is deprived of oxygen, and new, "
    "fragile vessels begin to grow. These can bleed into the vitreous, and scar tissue can pull the retina from the back "
    "of the eye. Many people notice nothing until the disease is advanced, which is why regular examinations matter. An "
    "ophthalmologist looks for",
    "Reinforcement learning is about an agent that acts in an environment and learns from reward. At every step the agent "
    "sees a state, chooses an action, and receives a reward and the next state. A policy maps states to actions. The value "
    "of a state is the sum of rewards that the agent can expect from there. Policy gradient methods change the policy in "
    "the direction that makes good actions more likely. To reduce the variance of the gradient, a baseline is subtracted "
    "from the return; the difference is called the advantage. In a language model the state is the text so far, the "
    "action is the next token, and the reward often comes only at the end, when the whole answer can be checked. Group "
    "methods draw several answers to the same question and compare each with the mean of its group, so that no value "
    "network is needed. The",
]
