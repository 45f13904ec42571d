"""What the engine wants done, in the imperative. The driver performs commands in their order."""

from dataclasses import dataclass

from anyclawd.engine.events import Hook, Invocation, RequestId, Timer
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobResult, JobType, Sub, SystemState


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the unit's process; answered by Spawned or SpawnFailed."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class CheckConditions:
    """See whether the conditions of a unit hold; answered by ConditionsChecked."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run the programs of a hook, one after the other; answered by HookEnded.

    A unit has at most one hook running that the engine has not given up by KillHook.
    """

    unit: UnitName
    invocation: Invocation
    hook: Hook
    run: int  #: numbers the hooks of one invocation


@dataclass(frozen=True, slots=True)
class KillHook:
    """SIGKILL for the processes of the unit's hook, or of its conditions; they still answer."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class StartCore:
    """Start a part of the daemon itself; answered by Spawned or SpawnFailed."""

    unit: UnitName
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class StopCore:
    """Answered by Exited."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class CloseProtocol:
    """Say the protocol's goodbye and close stdin."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class SendSignal:
    """Signal the process groups of the unit: of its main process and of its hook."""

    unit: UnitName
    signal: int


@dataclass(frozen=True, slots=True)
class KillTree:
    """SIGKILL for every process the unit has started, those of its hook included."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Report TimerElapsed at instant `at`; replaces the unit's timer of that kind."""

    unit: UnitName | None
    timer: Timer
    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """A timer cancelled here never elapses, even when it was due."""

    unit: UnitName | None
    timer: Timer


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell whoever watches that a unit has changed its sub state; the manager has the rest."""

    unit: UnitName
    before: Sub
    after: Sub


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    unit: UnitName
    type: JobType
    result: JobResult
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FinishRequest:
    """All jobs of a request have ended; `refusal` is set where none was ever installed."""

    request: RequestId
    outcomes: tuple[JobOutcome, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class RememberStop:
    """Note for the next start of the daemon whether a unit is stopped by hand."""

    unit: UnitName
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class SettleBoot:
    """The default target has settled; `failure` says why a boot is being given up."""

    state: SystemState
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CloseIntake:
    """Take no new message; answered by IntakeClosed when no turn is running any more."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """End the turns that are still running."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Everything has stopped: end the daemon."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class ReportFault:
    """The engine met what its tables have no row for: a fault of ours, with the unit's story."""

    unit: UnitName
    text: str


@dataclass(frozen=True, slots=True)
class ForgetUnit:
    """A unit that is not in the plan any more has come to rest: drop what is kept of it."""

    unit: UnitName


Command = (
    Spawn
    | CheckConditions
    | RunHook
    | KillHook
    | ForgetUnit
    | StartCore
    | StopCore
    | CloseProtocol
    | SendSignal
    | KillTree
    | ArmTimer
    | CancelTimer
    | Announce
    | FinishRequest
    | RememberStop
    | SettleBoot
    | CloseIntake
    | CutOff
    | Quit
    | ReportFault
)
