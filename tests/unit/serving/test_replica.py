"""What a replica does with the requests of a batch; Ray is needed only to bring them there."""

from typing import ClassVar

import pytest
from samples import sentence_of_words
from serving_fakes import tags_of

from raybio.errors import TaggingError
from raybio.serving.replica import tag_requests


class Choosy:
    """Tags anything without the word "poison"; counts how often it is asked."""

    labels = ("X",)
    counts: ClassVar = {}

    def __init__(self):
        self.asked = 0

    def tag(self, sentences):
        self.asked += 1
        if any("poison" in sentence.words for sentence in sentences):
            raise ValueError("no")
        return [tags_of(sentence) for sentence in sentences]


REQUESTS = [[sentence_of_words("a", "b"), sentence_of_words("c")], [], [sentence_of_words("d")]]


def test_a_batch_is_tagged_at_once_and_each_request_has_its_own():
    tagger = Choosy()
    tagged = tag_requests(tagger, REQUESTS)
    assert tagger.asked == 1
    assert tagged == [tuple(tags_of(sentence) for sentence in request) for request in REQUESTS]


def test_only_the_request_to_blame_fails():
    tagged = tag_requests(Choosy(), [*REQUESTS, [sentence_of_words("poison")]])
    assert tagged[:3] == tag_requests(Choosy(), REQUESTS)
    assert isinstance(tagged[3], TaggingError)
    assert str(tagged[3]) == "the model failed on this text: ValueError: no"


@pytest.mark.parametrize("answers", [0, 3])
def test_a_tagger_that_does_not_answer_to_each_sentence_is_not_believed(answers):
    class Wrong(Choosy):
        def tag(self, sentences):
            return [tags_of(sentences[0])] * answers

    (tagged,) = tag_requests(Wrong(), REQUESTS[:1])
    assert isinstance(tagged, TaggingError)
