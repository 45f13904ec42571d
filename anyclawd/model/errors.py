"""The exceptions of anyclawd, and the findings of its compiler.

A subclass exists where some caller acts on it. A unit's failure is a result, not an exception.
"""

from dataclasses import dataclass
from enum import StrEnum

from anyclawd.model.span import Span


class AnyclawError(Exception):
    """The root of every error that anyclawd raises on purpose."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Scope(StrEnum):
    """What a finding is about: the text of the configuration, or the machine it meets."""

    CONTENT = "content"
    WORLD = "world"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the compiler has to say about a configuration."""

    span: Span
    severity: Severity
    key: str  #: dotted path of the key, empty where the text as a whole is meant
    text: str  #: what was found and what was expected
    hint: str = ""  #: the nearest name that does exist
    scope: Scope = Scope.CONTENT

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        hint = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{self.span}: {self.severity}: {key}{self.text}{hint}"


class ProtocolError(AnyclawError):
    """A message broke the rules of its protocol."""


class RemoteProtocolError(ProtocolError):
    """The other end sent what the protocol does not allow."""


class RequestError(AnyclawError):
    """The admin caller asked for something that cannot be done; the text says what to do."""


class BadConfiguration(RequestError):
    """A configuration cannot be used, and nothing was changed; `findings` say what is wrong."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("the configuration cannot be used; nothing has changed")
        self.findings = findings


class UnknownUnit(RequestError):
    """No unit has this name; `hint` is the nearest one that exists, or empty.

    `why` says what the name stands for where it stands for something.
    """

    def __init__(self, name: str, hint: str = "", why: str = "") -> None:
        suffix = f" (did you mean {hint!r}?)" if hint else ""
        super().__init__(f"no unit {name!r}: {why}" if why else f"no unit {name!r}{suffix}")
        self.name, self.hint, self.why = name, hint, why


class UnknownSession(RequestError):
    """No chat has this session key; `hint` is the nearest one that exists, or empty."""

    def __init__(self, key: str, hint: str = "") -> None:
        suffix = f" (did you mean {hint!r}?)" if hint else ""
        super().__init__(f"no session {key!r}{suffix}")
        self.key, self.hint = key, hint


class UnknownMessage(RequestError):
    """No message has this id, or it is not kept any more."""

    def __init__(self, message: str) -> None:
        super().__init__(f"no message {message!r} is kept; see session_store.keep_messages")
        self.message = message


class IllegalTransition(AnyclawError):
    """An event that the table of a state machine has no row for: a fault of ours."""
