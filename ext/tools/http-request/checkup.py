"""What the tool needs of the world: rules, and names that lead somewhere; asks no host.

A name is looked up as a request would look it up. Nothing is connected to.
"""

import asyncio
import importlib.util
import socket
from collections.abc import Sequence

from address import Reach, address_of, reach_of
from options import Settings, settings_of
from rules import Rule

from anyclaw_sdk.check import CheckFinding, CheckRequest

#: Names that are looked up, and how long one may take.
NAMES_MAX, LOOKUP_S = 32, 3.0


async def checked(request: CheckRequest) -> Sequence[CheckFinding]:
    """Raises RpcError for an option that cannot be used."""
    settings = settings_of(request.options)
    found = []
    if importlib.util.find_spec("aiohttp") is None:
        found.append(
            CheckFinding.error("the library aiohttp is missing", "install python3-aiohttp")
        )
    if not settings.rules:
        found.append(CheckFinding.note("nothing is allowed yet", "add a rule to option allow"))
    found += _unused(settings)
    by_host = {rule.host: rule for rule in settings.rules if not rule.is_suffix}
    rules = list(by_host.values())[:NAMES_MAX]
    async with asyncio.TaskGroup() as tasks:
        lookups = [tasks.create_task(_looked_up(rule), name=rule.host) for rule in rules]
    found += [one for lookup in lookups if (one := lookup.result()) is not None]
    return found or [CheckFinding.ok(f"{len(settings.rules)} rules; every name leads somewhere")]


def _unused(settings: Settings) -> list[CheckFinding]:
    used = {rule.credential.name for rule in settings.rules if rule.credential is not None}
    return [
        CheckFinding.note(f"no rule uses the credential {one.name!r}", "name it in a rule")
        for one in settings.credentials
        if one.name not in used
    ]


async def _looked_up(rule: Rule) -> CheckFinding | None:
    """What is wrong with the name of a rule; None where it leads to what may be asked."""
    if address_of(rule.host) is not None:
        return None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.getaddrinfo(rule.host, rule.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        text = f"the name {rule.host} was not looked up within {LOOKUP_S:g} s"
        return CheckFinding.warning(text, "see that name servers answer")
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "no such name").lower()
        text = f"the name {rule.host} cannot be looked up: {reason}"
        return CheckFinding.warning(text, "correct the rule, or see that name servers answer")
    reached = [reach_of(one) for *_, place in found if (one := address_of(str(place[0])))]
    if not rule.is_private and Reach.PRIVATE in reached:
        text = f"{rule.host} is an address of this network, which is not asked"
        return CheckFinding.warning(text, "set private: true in its rule, if that is meant")
    return None
