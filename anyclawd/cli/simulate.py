"""`analyze simulate`: the next boot of a configuration, predicted from boots that were."""

import json
from argparse import Namespace
from dataclasses import dataclass

from anyclawd.cli import boots
from anyclawd.cli.daemon import connect
from anyclawd.cli.offline import compiled
from anyclawd.client.exchange import NO_DAEMON, USAGE_ERROR, ClientError
from anyclawd.draw import compare, timeline
from anyclawd.engine.simulate import HORIZON_S, Prediction, own_time_of, pasts_of, simulate
from anyclawd.model.value import Json

#: What a unit takes that no earlier boot tells of, unless another time is given.
_ASSUMED_S = 0.1

#: Units that are named before the rest of a list is counted.
_NAMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """A prediction, and what it stands on."""

    prediction: Prediction
    past: list[Json]  #: the records it is made from, newest first
    assumed_s: float
    concurrency: int

    @property
    def record(self) -> Json:
        return self.prediction.record

    def text(self) -> str:
        boot = timeline.boot_of(self.record)
        parallel = timeline.parallel_values(boot)
        most = f"{parallel['most']} processes start at once at most"
        parts = [
            self._basis(),
            timeline.time_text(boot),
            f"{most}; of those that have to answer start_concurrency allows {self.concurrency}",
            timeline.critical_chain_text(boot),
        ]
        if self.past:
            compared = compare.comparison_values(boot, timeline.boot_of(self.past[0]))
            parts.append(compare.comparison_text(compared, most=10))
        return "\n\n".join(parts) + "\n"

    def json(self) -> str:
        boot = timeline.boot_of(self.record)
        values = {
            "boots": len(self.past),
            "assumed": list(self.prediction.assumed),
            "assumed_s": self.assumed_s,
            "start_concurrency": self.concurrency,
            **timeline.dump_values(self.record),
            "started_at": None,  # a text in the record, which tells people what was predicted
            "comparison": (
                compare.comparison_values(boot, timeline.boot_of(self.past[0]))
                if self.past
                else None
            ),
        }
        return json.dumps({"simulate": values}, indent=2) + "\n"

    def _basis(self) -> str:
        count = len(self.past)
        text = f"predicted from {count} kept {'boot' if count == 1 else 'boots'}"
        if assumed := self.prediction.assumed:
            named = ", ".join(assumed[:_NAMED])
            more = f" and {len(assumed) - _NAMED} more" if len(assumed) > _NAMED else ""
            each = timeline.milliseconds(self.assumed_s)
            text += f"; assumed to take {each}, since none tells: {named}{more}"
        return text


def predicted(options: Namespace) -> Predicted:
    """The next boot of the configuration that is named, or that the daemon uses."""
    assumed_s = _ASSUMED_S if options.assume is None else options.assume
    if not 0 <= assumed_s < HORIZON_S:
        raise ClientError(f"--assume takes a number of seconds, 0 to {HORIZON_S:g}", USAGE_ERROR)
    past = _past(options)
    plan = compiled(options)
    prediction = simulate(
        plan,
        pasts_of(past),
        assumed_s=assumed_s,
        own_s=own_time_of(past),
        started_at=f"{plan.config}, predicted",
    )
    return Predicted(
        prediction=prediction,
        past=past,
        assumed_s=assumed_s,
        concurrency=plan.settings.start_concurrency,
    )


def _past(options: Namespace) -> list[Json]:
    """The boots to learn from, newest first: those that a daemon has, else those that are kept.

    Takes the configuration of a daemon that runs where none is named.
    """
    if options.state_dir:
        return [record for record in boots.kept(options) if record["settled_s"] is not None]
    try:
        client = connect(options)
        rows = client.get("/v1/boots")["boots"]
        if not options.config:
            options.config = client.get("/v1/status")["config"]
    except ClientError as error:
        if error.exit_code != NO_DAEMON or options.socket:
            raise
        return [record for record in boots.kept(options) if record["settled_s"] is not None]
    settled = (row["boot"] for row in rows if row["settled_s"] is not None)
    return [client.get(f"/v1/boot?boot={offset}") for offset in settled]
