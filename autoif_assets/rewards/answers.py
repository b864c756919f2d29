"""The answer in what a policy sampled: without thoughts, and without the marks of a chat template.

Trainers decode with and without special tokens. What is taken off is a list of what is known, at
the ends alone: the same letters in the midst of an answer are the answer's own.
"""

from autoif_assets.method.readable import trimmed
from autoif_assets.method.thoughts import split_reasoning

OPENINGS = (
    *("<|im_start|>assistant", "<|start_header_id|>assistant<|end_header_id|>"),
    *("<|header_start|>assistant<|header_end|>", "<start_of_turn>model", "<|turn>model"),
    *("[/INST]", "<|assistant|>", "<｜Assistant｜>", "<|CHATBOT_TOKEN|>"),
    "<|start_of_role|>assistant<|end_of_role|>",
)
"""What chat templates put before an answer."""

SPECIALS = (
    *OPENINGS,
    # ChatML, Qwen
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    # Llama 3 and 4
    *("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>"),
    # Llama 2, Mistral
    *("<s>", "</s>", "<unk>", "<pad>"),
    # Gemma
    *("<end_of_turn>", "<bos>", "<eos>", "<turn|>"),
    # Phi, Zephyr, GLM, harmony, OLMo
    *("<|end|>", "<|return|>", "<|user|>", "<|observation|>", "<|endofprompt|>", "<|padding|>"),
    # DeepSeek
    *("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"),
    # Command R
    *("<BOS_TOKEN>", "<EOS_TOKEN>", "<PAD_TOKEN>", "<|START_OF_TURN_TOKEN|>"),
    "<|END_OF_TURN_TOKEN|>",
    # Granite
    "<|end_of_role|>",
)
"""What chat templates put around an answer; longer ones before what they begin with."""

# A thought has a mark with one of these signs, or is harmony's whose tokens are gone.
_SIGNS = ("<", "[", "◁")
_BARE = "assistantfinal"
# As a mark of HTML it has a beginning, which the answer then holds.
_STRUCK_OUT = "</s>"


def answer_of(completion: str) -> str:
    """Return what is judged of a completion: its answer, empty where there is none.

    A thought that was never closed is all thought, so its completion has no answer.
    """
    text = without_specials(completion)
    if any(sign in text for sign in _SIGNS) or _BARE in text:
        text = without_specials(split_reasoning(text)[0])
    return trimmed(text)


def without_specials(text: str) -> str:
    """Take the marks of chat templates off both ends of a text, and the space beyond them."""
    found = True
    while found:
        found = False
        begin, end = text.lstrip(), text.rstrip()
        for mark in SPECIALS:
            if begin.startswith(mark) and not (mark == "<s>" and _STRUCK_OUT in begin[3:-4]):
                text, found = begin[len(mark) :], True
                break
            if end.endswith(mark) and not (mark == _STRUCK_OUT and "<s>" in end):
                text, found = end[: -len(mark)], True
                break
    return text
