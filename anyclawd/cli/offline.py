"""The compiler in this process, for the verbs that need no daemon."""

import os
import sys
from argparse import Namespace
from heapq import merge

from anyclawd.cli import places
from anyclawd.cli.render import clean
from anyclawd.client.exchange import ClientError
from anyclawd.compile.compiler import Outcome, compile_config, world_findings
from anyclawd.compile.origin import Source
from anyclawd.compile.tree import Machine
from anyclawd.model.credential import not_known
from anyclawd.model.errors import Finding
from anyclawd.model.plan import Plan


def outcome_of(options: Namespace, *, strict: bool = False) -> tuple[str, Outcome]:
    """The configuration that the options name, and what the compiler makes of it."""
    path = str(places.find_config(options, os.environ))
    machine = Machine()
    return path, compile_config(path, os.environ, machine, strict=strict, has_credentials=False)


def compiled(options: Namespace) -> Plan:
    """The plan of a configuration that can be used; otherwise its findings go to stderr.

    So does what the plan lacks since it is not the daemon that asks: the values of credentials.
    """
    _path, outcome = outcome_of(options)
    unknown = {not_known(one.name) for one in outcome.taken if one.source is Source.CREDENTIAL}
    for finding in outcome.findings:
        if outcome.plan is None or finding.text in unknown:
            print(clean(str(finding)), file=sys.stderr)
    if outcome.plan is None:
        raise ClientError("the configuration cannot be used; see above")
    return outcome.plan


def findings_of(options: Namespace, *, strict: bool) -> tuple[str, tuple[Finding, ...]]:
    """The configuration and all there is to say of it and of the machine it meets, by place."""
    path, outcome = outcome_of(options, strict=strict)
    if outcome.plan is None:
        return path, outcome.findings
    world = world_findings(outcome.plan, Machine(), outcome.places)
    both = merge(outcome.findings, world, key=lambda finding: (finding.span, finding.key))
    return path, tuple(both)
