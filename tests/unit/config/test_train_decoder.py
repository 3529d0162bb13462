"""The options of train-decoder that must agree, and those of decoding, which tag-corpus has too."""

import re

import pytest

from raybio.config import DecodingSection, PromptSection, TrainDecoderConfig, sweep_points, to_yaml
from raybio.config.attention import blocks_both_ways


def test_what_is_not_said_is_as_the_study_had_it(train_decoder):
    config = train_decoder()
    assert type(config) is TrainDecoderConfig
    assert (config.head, config.merge, config.prompt) == ("text", "none", PromptSection())
    assert (config.training.learning_rate, config.training.batch_size) == (2e-5, 32)
    assert (config.deepspeed.zero_stage, config.dev.mode, config.dev.sentences) == (2, "verified-tags", None)


def test_it_shares_the_rules_of_every_training_job(faults, train_decoder):
    text = "resume: true\ntraining: {max_batch_tokens: 2000, epochs: 0}\n"
    assert faults(train_decoder, text) == [
        "line 4: resume: found true, but there is no name; give the name of the run to resume",
        "line 5: training.epochs: found 0; allowed: whole number, at least 1",
        "line 5: training.max_batch_tokens: found 2000; allowed: at least max_length, which is 2048",
    ]


def test_bits_are_a_choice_of_numbers(faults, train_decoder):
    assert train_decoder("quantization: {bits: 16}").quantization.bits == 16
    for bits in ("8", "'4'", "4.5", "true"):
        (fault,) = faults(train_decoder, f"quantization: {{bits: {bits}}}")
        assert fault == f"line 4: quantization.bits: found {bits}; allowed: one of 4, 16, 32"


class TestAliases:
    def test_they_are_given_by_label(self, train_decoder):
        config = train_decoder("prompt: {aliases: {Disease: D}}", "prompt.aliases.Chemical=C")
        assert config.prompt.aliases == {"Disease": "D", "Chemical": "C"}

    @pytest.mark.parametrize(
        ("aliases", "fault"),
        [
            ("{Disease: X, Chemical: X}", "Chemical: found 'X', the alias of 'Disease' too; give it its own"),
            ("{Disease: 'a b'}", "Disease: found 'a b'; allowed: text without colons and white space"),
            ("{Disease: 'a:b'}", "Disease: found 'a:b'; allowed: text without colons and white space"),
            ("{Disease: ''}", "Disease: found ''; allowed: text without colons and white space"),
            (
                "{Disease: 1}",
                "Disease: found 1; allowed: mapping of names to text; put it in quotes to make it text",
            ),
        ],
    )
    def test_those_that_cannot_be_told_apart_are_faults(self, faults, train_decoder, aliases, fault):
        assert faults(train_decoder, f"prompt: {{aliases: {aliases}}}") == [f"line 4: prompt.aliases.{fault}"]


class TestHead:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("prompt: {chat_template: true}", "prompt: goes with head: text only; remove it"),
            ("prompt: {aliases: {Disease: D}}", "prompt: goes with head: text only; remove it"),
            (
                "training: {loss_on: all}",
                "training.loss_on: found 'all', which goes with head: text only; remove it",
            ),
            (
                "dev: {mode: greedy, sentences: 5}",
                "dev: how text is decoded goes with head: text only; keep nothing but sentences",
            ),
        ],
    )
    def test_a_token_classifier_writes_no_text(self, faults, train_decoder, text, fault):
        assert train_decoder(text).head == "text"
        assert faults(train_decoder, text, "head=tags") == [f"line 4: {fault}"]

    def test_a_token_classifier_may_be_scored_on_some_sentences(self, train_decoder):
        assert train_decoder("head: tags\ndev: {sentences: 5}\n").dev.sentences == 5


class TestCombinationsThatFail:
    def test_4_bits_cannot_be_offloaded(self, faults, train_decoder):
        fault = "found 'cpu', which fails with 4-bit weights; use none, or quantization.bits: 16"
        assert faults(train_decoder, "deepspeed: {offload: cpu}") == [f"line 4: deepspeed.offload: {fault}"]
        assert train_decoder("deepspeed: {offload: cpu}", "quantization.bits=16").deepspeed.offload == "cpu"

    @pytest.mark.parametrize(
        ("precision", "storage", "allowed"),
        [
            ("bf16", "float32", "auto, bfloat16"),
            ("fp32", "bfloat16", "auto, float32"),
            ("auto", "uint8", "auto, bfloat16, float32"),
        ],
    )
    def test_zero_3_shares_4_bits_only_as_they_are_computed(
        self, faults, train_decoder, precision, storage, allowed
    ):
        text = f"training: {{precision: {precision}}}\nquantization: {{storage: {storage}}}\n"
        assert train_decoder(text, "deepspeed.zero_stage=2")
        assert train_decoder(text, "deepspeed.zero_stage=3", "quantization.bits=16")
        (fault,) = faults(train_decoder, text, "deepspeed.zero_stage=3")
        assert fault.startswith(f"line 5: quantization.storage: found '{storage}', but ZeRO-3")
        assert fault.endswith(f"({precision}); allowed: {allowed}")

    @pytest.mark.parametrize(
        ("precision", "storage"), [("bf16", "bfloat16"), ("fp32", "float32"), ("auto", "auto")]
    )
    def test_zero_3_takes_what_matches(self, train_decoder, precision, storage):
        text = f"training: {{precision: {precision}}}\nquantization: {{storage: {storage}}}\n"
        assert train_decoder(text, "deepspeed.zero_stage=3").quantization.storage == storage

    def test_the_paged_optimizer_needs_a_gpu(self, faults, train_decoder):
        text = "training: {optimizer: paged-adamw-8bit}\n"
        assert train_decoder(text, "workers.accelerator=gpu")
        (fault,) = faults(train_decoder, text, "workers.accelerator=cpu")
        assert fault.startswith("line 4: training.optimizer: found 'paged-adamw-8bit', which needs a GPU;")

    def test_they_come_together_and_a_sweep_has_none(self, faults, train_decoder):
        both = ("training.optimizer=paged-adamw-8bit", "workers.accelerator=cpu", "deepspeed.offload=cpu")
        assert len(faults(train_decoder, "", *both)) == 2
        swept = faults(train_decoder, "sweep: {deepspeed.offload: [none, cpu]}")
        assert swept[0].startswith(
            "line 4: sweep: with deepspeed.offload='cpu': deepspeed.offload: found 'cpu',"
        )

    def test_merging_4_bits_goes_through_the_full_precision_base(self, train_decoder):
        assert train_decoder("merge: full-precision").quantization.bits == 4


def test_prompts_can_be_swept(train_decoder):
    config = train_decoder("sweep: {prompt.tag_tokens: [false, true], prompt.aliases: [{}, {Disease: D}]}")
    found = [(point.prompt.tag_tokens, point.prompt.aliases) for point in sweep_points(config)]
    assert found == [(False, {}), (False, {"Disease": "D"}), (True, {}), (True, {"Disease": "D"})]


class TestDecoding:
    def test_tags_are_verified_unless_configured_otherwise(self, tag):
        assert tag().decoding == DecodingSection(mode="verified-tags", draft="outside")
        assert tag("precision: 4bit").precision == "4bit"

    @pytest.mark.parametrize(
        "section",
        [
            "mode: greedy",
            "mode: verified-text, draft: previous",
            "draft: encoder, draft_model: runs/minilm/model",
            "mode: forced-tags, constrained_decoding: true",
        ],
    )
    def test_what_goes_together(self, tag, section):
        assert tag(f"decoding: {{{section}}}").decoding

    @pytest.mark.parametrize(
        ("section", "fault"),
        [
            ("draft: encoder", "draft_model: missing; draft: encoder needs the encoder that drafts"),
            (
                "draft_model: m",
                "draft_model: goes with draft: encoder only, and draft is 'outside'; remove one of the two",
            ),
            (
                "mode: greedy, draft: previous",
                "draft: found 'previous', but greedy uses no draft; remove it, or verify with it",
            ),
            (
                "mode: verified-text, constrained_decoding: true",
                "constrained_decoding: found true, but in verified-text the model writes freely; "
                "allowed: false",
            ),
            (
                "mode: tag-head",
                "mode: found 'tag-head', which a model becomes by its training (head: tags) alone;"
                " leave it out",
            ),
            (
                "mode: verified_tags",
                "mode: found 'verified_tags'; allowed: one of greedy, verified-text, forced-tags,"
                " verified-tags; did you mean 'verified-tags'?",
            ),
        ],
    )
    def test_what_does_not(self, faults, tag, train_decoder, section, fault):
        assert faults(tag, f"decoding: {{{section}}}") == [f"line 5: decoding.{fault}"]
        assert faults(train_decoder, f"dev: {{{section}}}") == [f"line 4: dev.{fault}"]


class TestAttention:
    def test_a_name_or_blocks(self, load, train_decoder):
        assert train_decoder().attention == "causal"
        assert train_decoder("head: tags\nattention: upper-half").attention == "upper-half"
        config = train_decoder("head: tags\nattention: [0, 14-29]")
        assert config.attention == (0, "14-29")
        assert load(to_yaml(config)) == config

    @pytest.mark.filterwarnings("error")
    def test_a_sweep_tries_several(self, train_decoder):
        config = train_decoder("head: tags\nsweep: {attention: [causal, bidirectional, [1, 2-3]]}")
        assert [p.attention for p in sweep_points(config)] == ["causal", "bidirectional", (1, "2-3")]

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("upper_half", "found 'upper_half'; allowed: .*; did you mean 'upper-half'?"),
            ("[]", r"found \[\]; allowed: causal, bidirectional, upper-half, or a list of block numbers"),
            ("12", "found 12; allowed: causal, bidirectional, upper-half, or a list of block numbers"),
            ("true", "found true; allowed: causal,"),
        ],
    )
    def test_anything_else_is_a_fault(self, faults, train_decoder, value, fault):
        (found,) = faults(train_decoder, "head: tags", f"attention={value}")
        assert re.match(f"override 'attention=.*': attention: {fault}", found)

    def test_each_faulty_block_is_named(self, faults, train_decoder):
        allowed = "allowed: a block number from 0, or a range such as 14-29"
        assert faults(train_decoder, "head: tags\nattention: [0, x, -1, 5-2, true]") == [
            f"line 5: attention[{i}]: found {found}; {allowed}"
            for i, found in ((1, "'x'"), (2, "-1"), (3, "'5-2'"), (4, "true"))
        ]

    def test_it_goes_with_a_tag_head_only(self, faults, train_decoder):
        problem = "goes with head: tags only; remove it"
        assert faults(train_decoder, "attention: upper-half\ntraining: {aggregation_strategy: last}") == [
            f"line 4: attention: found 'upper-half', which {problem}",
            f"line 5: training.aggregation_strategy: found 'last', which {problem}",
        ]

    @pytest.mark.parametrize(
        ("attention", "blocks"),
        [
            ("causal", []),
            ("bidirectional", [0, 1, 2, 3, 4]),
            ("upper-half", [2, 3, 4]),
            ((3, "0-1", 1), [0, 1, 3]),
        ],
    )
    def test_which_blocks_of_five(self, attention, blocks):
        assert blocks_both_ways(attention, 5) == blocks

    @pytest.mark.parametrize("attention", [(5,), ("0-9999999999",)])
    def test_a_block_that_is_not_there(self, attention):
        with pytest.raises(ValueError, match=r"there is no block .*: this model has blocks 0 to 4"):
            blocks_both_ways(attention, 5)
