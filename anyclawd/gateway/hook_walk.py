"""Performs the decision of `gateway.hook_chain`: takes one question along the hooks."""

from collections.abc import Callable, Sequence
from functools import partial

from anyclawd.gateway import hook_chain
from anyclawd.gateway.hook_chain import Ending, Failed, Question
from anyclawd.gateway.hooks import NOT_ANSWERING, NOT_RUNNING, Asking, Hooks
from anyclawd.model.conversation import HookEvent, HookUse
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import hook


class Walk:
    """One question on its way along the hooks; forgotten, it ends without a word."""

    def __init__(
        self,
        hooks: Hooks,
        params: Callable[[Question], dict[str, Json]],
        ended: Callable[[Ending], None],
    ) -> None:
        self._hooks, self._params, self._ended = hooks, params, ended
        self._asking: Asking | None = None

    def start(self, event: HookEvent, subject: Json, uses: Sequence[HookUse]) -> Ending | None:
        """The ending, if it is there at once; else `ended` is called with it, later."""
        wanted = [use for use in uses if self._hooks.wants(use.unit, event)]
        return self._go(hook_chain.begin(event, subject, wanted))

    def forget(self) -> None:
        if self._asking is not None:
            self._asking.forget()

    def _go(self, stop: Question | Ending) -> Ending | None:
        """Ask the next hook that can be asked; the ending where none is left."""
        while isinstance(stop, Question):
            peer = self._hooks.find(stop.asked.unit)
            failure = NOT_RUNNING
            if peer is not None:
                replied = partial(self._replied, stop)
                params = self._params(stop)
                self._asking = peer.ask(stop.event, params, stop.asked.timeout_s, replied)
                if self._asking is not None:
                    return None
                failure = NOT_ANSWERING
            stop = self._fail(stop, failure)
        return stop

    def _replied(self, question: Question, result: Json, failure: str) -> None:
        self._asking = None
        ending = self._go(self._take(question, result, failure))
        if ending is not None:
            self._ended(ending)

    def _take(self, question: Question, result: Json, failure: str) -> Question | Ending:
        if failure:
            return self._fail(question, failure)
        try:
            verdict = hook.read_verdict(question.event, result, question.subject)
        except RemoteProtocolError as error:
            return self._fail(question, str(error))
        self._hooks.note_verdict(question.asked.unit)
        return hook_chain.step(question, verdict)

    def _fail(self, question: Question, text: str) -> Question | Ending:
        self._hooks.note_failure(question.asked.unit, text)
        return hook_chain.step(question, Failed(text))
