"""When a client asks again, how often, and what it says when it gives up."""

import asyncio

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError
from samples import sentence_of_words
from serving_fakes import NEVER, failed_with, handle_that, tags_of

from raybio.errors import OverloadedError, ServingError, TaggingError
from raybio.serving.answers import Answer
from raybio.serving.client import Client

SENTENCES = [sentence_of_words("a", "b")]
ANSWER = Answer((tags_of(SENTENCES[0]),), 0.1, 0.2, 1, 1, "r")
FULL = OverloadedError("3 requests wait", retry_after=7.5)
FULL_WITHIN = failed_with(FULL)
DIED = ActorDiedError()
AWAY = ActorUnavailableError("it is away", None)


def ask(handle, **options):
    return asyncio.run(Client(handle, backoff_seconds=0.001, **options).tag(SENTENCES))


@pytest.mark.parametrize("before", [[], [DIED], [AWAY, DIED], [FULL, DIED, FULL_WITHIN]])
def test_it_asks_again_and_counts(before):
    handle = handle_that(*before, ANSWER)
    served = ask(handle)
    assert (served.answer, served.retries) == (ANSWER, len(before))
    assert handle.asked == [tuple(SENTENCES)] * (len(before) + 1)
    assert served.seconds > 0


def test_it_gives_up_on_replicas_that_die():
    handle = handle_that(*[DIED] * 3)
    again = []
    with pytest.raises(ServingError, match="died 3 times on this request: ActorDiedError") as caught:
        ask(handle, retries=2, retried=lambda: again.append(1))
    assert len(handle.asked) == 3
    assert caught.value.retries == len(again) == 2


def test_it_gives_up_where_too_many_wait():
    with pytest.raises(OverloadedError, match="3 requests wait") as caught:
        ask(handle_that(FULL, FULL), retries=1)
    assert (caught.value.retries, caught.value.retry_after) == (1, 7.5)


def test_an_impatient_client_does_not_wait_but_outlives_a_replica():
    handle = handle_that(FULL)
    with pytest.raises(OverloadedError):
        ask(handle, patient=False)
    assert len(handle.asked) == 1
    assert ask(handle_that(DIED, ANSWER), patient=False).retries == 1


def test_a_request_that_is_given_up_is_cancelled():
    handle = handle_that(NEVER)

    async def give_up():
        await asyncio.wait_for(Client(handle).tag(SENTENCES), 0.02)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert handle.cancelled == [NEVER]
    answered = handle_that(DIED, ANSWER)
    ask(answered)
    assert answered.cancelled == []


def test_the_replica_is_given_the_seconds_that_are_allowed():
    handle = handle_that(ANSWER)
    ask(handle, seconds_allowed=4.5)
    assert handle.allowed == [4.5]


@pytest.mark.parametrize("raised", [failed_with, lambda cause: cause])
def test_what_would_fail_again_is_not_asked_again(raised):
    handle = handle_that(raised(TaggingError("the model failed on this text")))
    with pytest.raises(TaggingError) as caught:
        ask(handle)
    assert str(caught.value) == "the model failed on this text"
    assert len(handle.asked) == 1
    with pytest.raises(ServingError, match=r"replica failed: ValueError: a bug") as caught:
        ask(handle_that(DIED, raised(ValueError("a bug"))))
    assert caught.value.retries == 1


def test_a_model_that_failed_to_deploy_is_down():
    with pytest.raises(ServingError, match="the model is down"):
        ask(handle_that(DeploymentUnavailableError(DeploymentID(name="m", app_name="m"))))
