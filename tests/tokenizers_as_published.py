"""Tokenizers in the form in which each architecture's makers publish them, trained on a few sentences."""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

NAMES = (
    *("naloxone", "Clonidine", "IL-2", "hydroxychloroquine", "5-HT1A", "β-blocker", "Na+/K+-ATPase"),
    *("TNF-α", "Müller", "hypotension", "12345", "0.5", "10 mg/kg", "N-methyl-D-aspartate", "p53"),
)
PATTERNS = (
    *("{} reverses the effect of {}.", "{} ({}), given i.v., lowered {}; {} did not.", "'{}' vs. \"{}\"?"),
    *("In {}-treated rats [{}],{} was seen:{}/{}.", "{}'s role in {} isn't clear (P<0.05).", "The {}, {}…"),
    *("We don't know whether {} (n=12) or {} (n=7)—or both—cause {}.", "{}", "{}+{}->{} in 3%–5%."),
)


def sentences(count: int = 100, seed: int = 7) -> list[str]:
    """Return raw sentences with punctuation, hyphens, parentheses, Greek, accents and digits."""
    chance = random.Random(seed)
    return [
        pattern.format(*(chance.choice(NAMES) for _ in range(pattern.count("{}"))))
        for pattern in (chance.choice(PATTERNS) for _ in range(count))
    ]


def _text() -> list[str]:
    """Return what tokenizers learn from: as written, and with blanks between words."""
    written = sentences(300, 1)
    return [*written, *(" ".join(re.findall(r"\w+|[^\w\s]", one)) for one in written)]


def write_tokenizer(architecture: str, folder: Path, **changes: object) -> PreTrainedTokenizerFast:
    """Train the tokenizer of an architecture, write it into a model folder and return it.

    `changes` are of its tokenizer_config.json.
    """
    make, specials, options = _FORMS[architecture]
    backend = make(specials)
    tokens = {"unk_token": specials[1], "pad_token": specials[0], **options}
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)
    fast.save_pretrained(folder)
    config = folder / "tokenizer_config.json"
    written = json.loads(config.read_text())
    config.write_text(json.dumps({**written, "tokenizer_class": _CLASSES.get(architecture), **changes}))
    return fast


_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
_LLAMA = ("</s>", "<unk>", "<s>")
_GPT = ("<|endoftext|>", "<|endoftext|>")
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_LLAMA_3_WORDS = _QWEN_WORDS.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def _around(
    backend: Tokenizer, before: Sequence[str], after: Sequence[str], types: Mapping[str, int] | None = None
) -> Tokenizer:
    whole = " ".join(f"{token}:{(types or {}).get(token, 0)}" for token in (*before, "$A", *after))
    ids = [(token, backend.token_to_id(token)) for token in dict.fromkeys((*before, *after))]
    backend.post_processor = processors.TemplateProcessing(single=whole, special_tokens=ids)
    return backend


def _word_piece(specials: Sequence[str], types: Mapping[str, int] | None = None) -> Tokenizer:
    backend = Tokenizer(models.WordPiece(unk_token=specials[1]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=160, special_tokens=list(specials), show_progress=False)
    backend.train_from_iterator(_text(), trainer)
    return _around(backend, [specials[2]], [specials[3]], types)


def _funnel(specials: Sequence[str]) -> Tokenizer:
    return _word_piece(specials, {"<cls>": 2})


def _xlnet(specials: Sequence[str]) -> Tokenizer:
    return _around(_unigram(_NFKC)(specials), [], ["<sep>", "<cls>"], {"<cls>": 2})


def _byte_bpe(
    splits: str = "", normalizer: normalizers.Normalizer | None = None, trims: bool = False
) -> Callable[[Sequence[str]], Tokenizer]:
    def make(specials: Sequence[str]) -> Tokenizer:
        backend = Tokenizer(models.BPE())
        if normalizer:
            backend.normalizer = normalizer
        bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not splits)
        split = [pre_tokenizers.Split(Regex(splits), "isolated")] if splits else []
        backend.pre_tokenizer = pre_tokenizers.Sequence([*split, bytes_of]) if splits else bytes_of
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=list(dict.fromkeys(specials)),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(_text(), trainer)
        backend.decoder = decoders.ByteLevel()
        if trims:
            ends = [(token, backend.token_to_id(token)) for token in (specials[3], specials[2])]
            backend.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False)
            return backend
        if len(specials) < 3:
            backend.post_processor = processors.ByteLevel(trim_offsets=False)
            return backend
        return _around(backend, [specials[2]], specials[3:4])

    return make


def _unigram(
    normalizer: normalizers.Normalizer, before: int | None = 2, whitespace: bool = True
) -> Callable[[Sequence[str]], Tokenizer]:
    def make(specials: Sequence[str]) -> Tokenizer:
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizer
        blank = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
        backend.pre_tokenizer = (
            pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), blank]) if whitespace else blank
        )
        trainer = trainers.UnigramTrainer(
            vocab_size=300, special_tokens=list(specials), unk_token=specials[1], show_progress=False
        )
        backend.train_from_iterator(_text(), trainer)
        backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
        return _around(backend, [specials[2]] if before else [], [specials[3]])

    return make


def _llama_2(specials: Sequence[str]) -> Tokenizer:
    backend = Tokenizer(models.BPE(unk_token=specials[1], fuse_unk=True, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    backend.train_from_iterator(_text(), trainer)
    # Words are kept apart in training alone.
    written = json.loads(backend.to_str()) | {"pre_tokenizer": None}
    backend = Tokenizer.from_str(json.dumps(written))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(pattern=" ", content="▁")]
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _around(backend, [specials[2]], [])


_NFKC = normalizers.Sequence(
    [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
)
_ALBERT = normalizers.Sequence(
    [
        *(normalizers.Replace("``", '"'), normalizers.Replace("''", '"')),
        *(normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()),
    ]
)
_BERT_TOKENS = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_ROBERTA_TOKENS = {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>", "bos_token": "<s>"}
_FUNNEL_TOKENS = {"cls_token": "<cls>", "sep_token": "<sep>", "mask_token": "<mask>"}
_XLNET_TOKENS = {**_FUNNEL_TOKENS, "pad_token": "<pad>", "padding_side": "left"}
_FORMS = {
    "bert": (_word_piece, _BERT, _BERT_TOKENS),
    "distilbert": (_word_piece, _BERT, _BERT_TOKENS),
    "electra": (_word_piece, _BERT, _BERT_TOKENS),
    "mpnet": (_word_piece, _ROBERTA, _ROBERTA_TOKENS),
    "roberta": (_byte_bpe(trims=True), _ROBERTA, _ROBERTA_TOKENS),
    "longformer": (_byte_bpe(trims=True), _ROBERTA, _ROBERTA_TOKENS),
    "deberta": (_byte_bpe(), _BERT, _BERT_TOKENS),
    "modernbert": (_byte_bpe(normalizer=normalizers.NFC()), _BERT, _BERT_TOKENS),
    "gpt2": (_byte_bpe(), _GPT, {"eos_token": _GPT[0]}),
    "llama-3": (_byte_bpe(_LLAMA_3_WORDS), ("<|end|>", "<|end|>", "<|begin|>"), {"eos_token": "<|end|>"}),
    "qwen2": (_byte_bpe(_QWEN_WORDS, normalizers.NFC()), _GPT, {"eos_token": _GPT[0]}),
    "xlm-roberta": (_unigram(_NFKC), _ROBERTA, _ROBERTA_TOKENS),
    "camembert": (_unigram(_NFKC), _ROBERTA, _ROBERTA_TOKENS),
    "albert": (_unigram(_ALBERT), _BERT, _BERT_TOKENS),
    "deberta-v2": (_unigram(_NFKC, whitespace=False), _BERT, _BERT_TOKENS),
    "big_bird": (_unigram(_NFKC, whitespace=False), _BERT, _BERT_TOKENS),
    "t5": (_unigram(_NFKC, before=None), ("<pad>", "<unk>", "</s>", "</s>"), {"eos_token": "</s>"}),
    "llama-2": (_llama_2, _LLAMA, {"bos_token": "<s>", "eos_token": "</s>"}),
    "funnel": (_funnel, ("<pad>", "<unk>", "<cls>", "<sep>", "<mask>"), _FUNNEL_TOKENS),
    "xlnet": (_xlnet, ("<unk>", "<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"), _XLNET_TOKENS),
}
_CLASSES = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "longformer": "LongformerTokenizer",
    "deberta": "DebertaTokenizer",
    "modernbert": "PreTrainedTokenizerFast",
    "gpt2": "GPT2Tokenizer",
    "llama-3": "PreTrainedTokenizerFast",
    "qwen2": "Qwen2Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "albert": "AlbertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "big_bird": "BigBirdTokenizer",
    "t5": "T5Tokenizer",
    "llama-2": "LlamaTokenizer",
    "funnel": "FunnelTokenizer",
    "xlnet": "XLNetTokenizer",
}
ARCHITECTURES = tuple(_FORMS)
