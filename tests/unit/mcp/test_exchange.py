import json
from collections.abc import Mapping

from anyclawd.mcp.exchange import Exchange
from anyclawd.mcp.seam import Answer
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, REQUEST_CANCELLED, RpcError


class Plain:
    """A manner without any: errors are 400."""

    def dress(self, _method: str, answer: Answer) -> Answer:
        return answer

    def status_of(self, _error: RpcError) -> int:
        return 400


class Call:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def cancel(self, reason: str) -> None:
        self.reasons.append(reason)


def exchange(*, is_batch: bool = False) -> Exchange:
    return Exchange(is_batch=is_batch, manner=Plain())


def of(answer: bytes) -> Mapping[str, Json]:
    value: Mapping[str, Json] = json.loads(answer)
    return value


def test_it_is_over_once_all_are_answered() -> None:
    post = exchange(is_batch=True)
    first, second = post.begin(1, "a", None), post.begin("two", "b", None)
    first.answered(b"{}")
    post.complete()
    assert not post.is_over
    second.answered(RpcError(INVALID_PARAMS, "no"))
    assert post.is_over
    one, two = json.loads(post.body())
    assert one == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert two["id"] == "two"
    assert two["error"] == {"code": INVALID_PARAMS, "message": "no"}
    assert post.status == 200


def test_one_that_was_answered_before_it_is_complete_is_over_when_it_is() -> None:
    post = exchange()
    post.begin(1, "a", None).answered(b"{}")
    assert not post.is_over
    post.complete()
    assert post.is_over
    assert post.body() == b'{"jsonrpc":"2.0","id":1,"result":{}}'


def test_without_requests_there_is_nothing_to_answer() -> None:
    post = exchange()
    post.complete()
    assert post.is_over
    assert post.body() == b""


def test_an_error_alone_has_a_status() -> None:
    post = exchange()
    running = post.begin(1, "a", None)
    post.complete()
    running.answered(RpcError(INVALID_PARAMS, "no", {"more": 1}))
    assert post.status == 400
    assert of(post.body())["error"]["data"] == {"more": 1}


def test_an_answer_that_cannot_be_dressed_is_an_error_and_ends_it() -> None:
    class Helpless(Plain):
        def dress(self, _method: str, _answer: Answer) -> Answer:
            raise RecursionError

    post = Exchange(is_batch=False, manner=Helpless())
    running = post.begin(1, "a", None)
    post.complete()
    running.answered(b"{}")
    assert post.is_over
    assert of(post.body())["error"]["code"] == INTERNAL_ERROR


def test_the_first_answer_counts() -> None:
    post, ends = exchange(), []
    running = post.begin(1, "a", None)
    running.on_end = lambda: ends.append(1)
    post.complete()
    running.answered(b'{"a":1}')
    running.answered(b'{"b":1}')
    running.cancel("too late")
    assert of(post.body())["result"] == {"a": 1}
    assert ends == [1]


def test_progress_is_told_under_the_token_of_the_client_and_not_after_the_answer() -> None:
    post = exchange()
    running = post.begin(1, "a", "mine")
    post.complete()
    running.progressed({"progress": 1, "message": "half"})
    assert post.feed.has_told
    (told,) = map(of, post.feed.take())
    assert told["params"] == {"progressToken": "mine", "progress": 1, "message": "half"}
    running.answered(b"{}")
    running.progressed({"progress": 2})
    assert [of(one).get("method") for one in post.feed.take()] == [None]


def test_a_cancelled_request_tells_its_tool_and_is_over() -> None:
    post, call = exchange(), Call()
    running = post.begin(1, "a", None)
    running.call = call
    post.complete()
    running.cancel("changed my mind")
    running.cancel("again")
    assert call.reasons == ["changed my mind"]
    assert post.is_over
    assert of(post.body())["error"] == {
        "code": REQUEST_CANCELLED,
        "message": "cancelled: changed my mind",
    }


def test_a_client_that_hangs_up_cancels_all_that_is_open() -> None:
    post, calls = exchange(is_batch=True), [Call(), Call()]
    done, *rest = [post.begin(id_, "a", None) for id_ in range(3)]
    for running, call in zip(rest, calls, strict=True):
        running.call = call
    post.complete()
    done.answered(b"{}")
    post.abandon("the client has hung up")
    assert [call.reasons for call in calls] == [["the client has hung up"]] * 2
    assert post.is_over
