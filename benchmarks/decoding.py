"""What each decode mode and draft of an LLM costs, beside the encoder and transformers' `generate`.

    python benchmarks/decoding.py --decoder RUN/model --encoder RUN/model --data DATA [--sentences N]
        [--tag-head RUN/model]

All ways tag the same BC5CDR test sentences, chosen at even distances: one by one, then in batches.
One by one the ways take turns, so that a busy moment of the machine meets them all alike; `generate`,
`greedy` and `forced-tags`, which take longest, read only `--slow` of the sentences so, again at even
distances, and ratios are those of the sentences that both ways read. Encoder drafts include the
encoder's own time; the draft `previous` knows what the same way has tagged before. "same" is the
share of sentences with the tokens (or tags) of the mode's reference, among those that it read:
`greedy` one by one for text, `forced-tags` one by one for tags. `generate` has the model as
transformers loads it, the decode modes as raybio does: in bf16 on a CPU that multiplies it, with
prepacked layers. What those alone are worth is the difference between `generate` and `greedy`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from decoding_figures import figures, in_batches, one_by_one, table
from decoding_ways import Llm, Way, ways

from raybio.config import CorpusSection
from raybio.iob2 import tags_from_spans
from raybio.run_folder import environment
from raybio.sentence_stream import read_sentences
from raybio.taggers import load_tagger

_SAID = ("sentences", "slow", "precision", "batch_tokens", "threads", "skip")


def main() -> None:
    """Compare all ways at batch 1 and in batches; print the two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decoder", type=Path, required=True, help="model folder of a trained decoder")
    parser.add_argument("--encoder", type=Path, required=True, help="model folder of a trained encoder")
    parser.add_argument("--tag-head", type=Path, help="model folder of an LLM trained with head: tags")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--slow", type=int, default=40, help="sentences that the slow ways read one by one")
    parser.add_argument("--precision", default="fp32", help="of the LLM: fp32, bf16 or 4bit")
    parser.add_argument("--batch-tokens", type=int, default=2048, help="0: one by one only")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--skip", nargs="*", default=[], metavar="MODE", help="modes to leave out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    every = [s for s in read_sentences(CorpusSection(name="BC5CDR", data=arguments.data), "test") if s.words]
    count = min(arguments.sentences, len(every))
    sentences = [every[i * len(every) // count] for i in range(count)]
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    llm = Llm.load(arguments.decoder, arguments.precision)
    encoder = load_tagger(arguments.encoder)
    tag_head = load_tagger(arguments.tag_head) if arguments.tag_head else None

    def anew() -> list[Way]:
        return [way for way in ways(llm, encoder, tag_head) if way.mode not in arguments.skip]

    for way in anew():
        way.tag(sentences[:1])  # what is done once is not a sentence's cost
    compared = anew()

    one_by_one(compared, sentences, min(arguments.slow, count))
    one = [figures(way, compared, compared, gold) for way in compared if way.answers]
    print(table(one, "one by one"), flush=True)
    write(arguments, {"one_by_one": one})
    if not arguments.batch_tokens:
        return
    batched = [
        in_batches(way, llm, sentences, arguments.batch_tokens)
        for way in anew()
        if way.draft != "prompt lookup"
    ]
    many = [figures(way, batched, compared, gold) for way in batched]
    print(table(many, "in batches"))
    write(arguments, {"one_by_one": one, "in_batches": many})


def write(arguments: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Write what there is so far where `--json` says."""
    if arguments.json:
        result = {
            "arguments": {name: vars(arguments)[name] for name in _SAID},
            **results,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
