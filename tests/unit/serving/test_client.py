"""When a client asks again, how often, and what it says when it gives up."""

import asyncio

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from samples import sentence_of_words
from serving_fakes import handle_that, tags_of

from raybio.errors import OverloadedError, ServingError, TaggingError
from raybio.serving.answers import Answer
from raybio.serving.client import Client

SENTENCES = [sentence_of_words("a", "b")]
ANSWER = Answer((tags_of(SENTENCES[0]),), 0.1, 0.2, 1, 1, "r")
FULL = BackPressureError(num_queued_requests=3, max_queued_requests=3)
DIED = ActorDiedError()
AWAY = ActorUnavailableError("it is away", None)


def ask(handle, **options):
    return asyncio.run(Client(handle, backoff_seconds=0.001, **options).tag(SENTENCES))


@pytest.mark.parametrize("before", [[], [DIED], [AWAY, DIED], [FULL, DIED, FULL]])
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
    with pytest.raises(OverloadedError, match="Ask again later") as caught:
        ask(handle_that(FULL, FULL), retries=1)
    assert caught.value.retries == 1


def test_an_impatient_client_does_not_wait_but_outlives_a_replica():
    handle = handle_that(FULL)
    with pytest.raises(OverloadedError):
        ask(handle, patient=False)
    assert len(handle.asked) == 1
    assert ask(handle_that(DIED, ANSWER), patient=False).retries == 1


def failed_with(cause):
    return RayTaskError("tag", "the traceback", cause).as_instanceof_cause()


def test_what_would_fail_again_is_not_asked_again():
    handle = handle_that(failed_with(TaggingError("the model failed on this text")))
    with pytest.raises(TaggingError) as caught:
        ask(handle)
    assert str(caught.value) == "the model failed on this text"
    assert len(handle.asked) == 1
    with pytest.raises(ServingError, match=r"replica failed: ValueError: a bug") as caught:
        ask(handle_that(DIED, failed_with(ValueError("a bug"))))
    assert caught.value.retries == 1


def test_a_model_that_failed_to_deploy_is_down():
    with pytest.raises(ServingError, match="the model is down"):
        ask(handle_that(DeploymentUnavailableError(DeploymentID(name="m", app_name="m"))))
