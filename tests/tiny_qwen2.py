"""`python tiny_qwen2.py FOLDER`: a random Qwen2 of 9 MB that writes simple Chinese sentences, always the same.

Its layers are random and weak; embeddings and output make it a chain of words, each followed by one that follows it
in SENTENCES. Sampled, a reply ends after some sentences; at temperature 0 it never does. Runs inside the
vllm-openvino image, which has what it imports.
"""

import pydoc_data.topics
import sys
from collections import Counter
from pathlib import Path

import torch  # type: ignore[import-not-found]
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM  # type: ignore[import-not-found]

SENTENCES = """
我 喜欢 学习 中文 。
我 喜欢 吃 中国 菜 。
我 喜欢 喝 茶 。
我 是 你 的 中文 老师 。
我 很 高兴 认识 你 。
我 有 一 个 朋友 ， 他 是 学生 。
我们 今天 学习 中文 。
我们 一起 去 学校 ， 好 吗 ？
你 好 ！
你 喜欢 吃 什么 ？
你 今天 想 做 什么 ？
你 家 有 几 口 人 ？
今天 天气 很 好 。
今天 我 想 去 商店 买 水果 。
他 在 学校 工作 。
老师 的 家 在 北京 。
"""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKS = "，。？！、；：“”（）《》"
HIDDEN = 256
NEVER = -15.0  # a logit


def make(folder: Path) -> None:
    words = sorted(set(SENTENCES.split()))
    tokenizer = make_tokenizer(words)
    model = make_model(tokenizer, words)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def make_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Bytes and pieces of English, so that any prompt can be read. Words of ours and characters are a token each, so
    that a Chinese prompt is about as long as in a real vocabulary."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=SPECIAL, initial_alphabet=alphabet)
    inner.train_from_iterator(pydoc_data.topics.topics.values(), trainer)
    inner.add_tokens(
        [AddedToken(word, normalized=False) for word in dict.fromkeys([*words, *common_characters(), *MARKS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=32768,
    )


def common_characters() -> list[str]:
    """The first level of GB 2312: the 3755 commonest, by their sound."""
    cells = ((row, cell) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return [bytes(place).decode("gb2312") for place in cells if place <= (0xD7, 0xF9)]


def make_model(tokenizer: PreTrainedTokenizerFast, words: list[str]) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        initializer_range=0.01,
        eos_token_id=end,
        bos_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    # The words and the line feed before a reply lie at right angles, everything else in the room that is left.
    contexts = tokenizer.convert_tokens_to_ids(["Ċ", *words])
    axes = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN)).Q * HIDDEN**0.5
    rest = torch.randn(len(tokenizer), HIDDEN - len(contexts)) / (HIDDEN - len(contexts)) ** 0.5
    embeddings = rest @ axes[len(contexts) :]
    embeddings[contexts] = axes[: len(contexts)]
    logits = following(contexts, {word: tokenizer.convert_tokens_to_ids(word) for word in words}, end, len(tokenizer))
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.copy_(logits @ axes[: len(contexts)] / HIDDEN)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20, eos_token_id=end, pad_token_id=tokenizer.pad_token_id
    )
    return model.to(torch.bfloat16)


def following(contexts: list[int], ids: dict[str, int], end: int, vocabulary: int) -> torch.Tensor:
    """The logit of each token (row) after each context (column)."""
    line_feed = contexts[0]
    pairs: Counter[tuple[int, int]] = Counter()
    for line in SENTENCES.split("\n"):
        tokens = [ids[word] for word in line.split()]
        pairs.update(zip([line_feed, *tokens], tokens, strict=False))
    starts = {after: count for (before, after), count in pairs.items() if before == line_feed}
    for mark in (ids["。"], ids["！"], ids["？"]):
        pairs.update({(mark, word): count for word, count in starts.items()})
        pairs[mark, end] = max(starts.values()) - 1  # likely, but not what greedy decoding takes
    logits = torch.full((vocabulary, len(contexts)), NEVER)
    for (before, after), count in pairs.items():
        total = sum(n for (left, _), n in pairs.items() if left == before)
        logits[after, contexts.index(before)] = torch.log(torch.tensor(count / total))
    return logits


if __name__ == "__main__":
    make(Path(sys.argv[1]))
