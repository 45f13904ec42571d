"""Findings: collected by every stage of the compiler, sorted and capped once, at the end.

A suggestion ("did you mean") costs a search among names, so it is worked out for the findings
that are shown and for no others: ten thousand wrong references stay linear.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from anyclawd.model.errors import Finding, Scope, Severity
from anyclawd.model.span import Span
from anyclawd.model.spelling import nearest

#: How many findings one run shows; errors go before warnings where there are more.
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class _Draft:
    finding: Finding
    word: str
    among: Collection[str]


@dataclass(slots=True)
class Report:
    """What the compiler has found so far."""

    scope: Scope = Scope.CONTENT
    _drafts: list[_Draft] = field(default_factory=list)
    _errors: int = 0

    def error(
        self, span: Span, key: str, text: str, *, word: str = "", among: Collection[str] = ()
    ) -> None:
        """Note a reason why this configuration cannot run; suggests the nearest of `among`."""
        self._errors += 1
        self._add(Severity.ERROR, span, key, text, word, among)

    def warning(
        self, span: Span, key: str, text: str, *, word: str = "", among: Collection[str] = ()
    ) -> None:
        """Note what the user should know, though the configuration runs."""
        self._add(Severity.WARNING, span, key, text, word, among)

    @property
    def has_errors(self) -> bool:
        return self._errors > 0

    def findings(self) -> tuple[Finding, ...]:
        """All findings by place, at most `MOST_SHOWN`, then one that counts the rest."""
        drafts = sorted(self._drafts_once(), key=_rank)
        shown = drafts[:MOST_SHOWN]
        found = [replace(draft.finding, hint=_hint(draft)) for draft in shown]
        found.sort(key=lambda finding: (finding.span, finding.key, finding.text))
        if rest := len(drafts) - len(shown):
            text = f"{rest} more findings are not shown; correct these first"
            severity = drafts[len(shown)].finding.severity
            last = Finding(
                span=Span(found[-1].span.file),
                severity=severity,
                key="",
                text=text,
                scope=self.scope,
            )
            found.append(last)
        return tuple(found)

    def _add(
        self,
        severity: Severity,
        span: Span,
        key: str,
        text: str,
        word: str,
        among: Collection[str],
    ) -> None:
        finding = Finding(span=span, severity=severity, key=key, text=text, scope=self.scope)
        self._drafts.append(_Draft(finding, word, among))

    def _drafts_once(self) -> list["_Draft"]:
        """Drafts without repetitions: a value reached by two aliases is reported once."""
        seen: dict[Finding, _Draft] = {}
        for draft in self._drafts:
            seen.setdefault(draft.finding, draft)
        return list(seen.values())


def _rank(draft: _Draft) -> tuple[bool, Span, str, str]:
    finding = draft.finding
    return (finding.severity is Severity.WARNING, finding.span, finding.key, finding.text)


def _hint(draft: _Draft) -> str:
    return nearest(draft.word, draft.among) if draft.word else ""


def quote(text: str) -> str:
    """User input as it is shown in a finding: quoted, and shortened where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
