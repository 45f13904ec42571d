"""How long a boot takes: to the last process, and until the daemon says that it is ready."""

import json

import yaml

from anyclawd.cli.cmd_demo import CONFIG as DEMO
from tests.bench.budget import Row, Samples, at_most, at_most_x
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab, Running, Site

#: Of how many units the boot is measured with control groups, too.
_GROUPED = 100
_LIMITS = {10: (0.45, 0.3, 4), 100: (0.9, 0.55, 4), 500: (1.25, 0.75, 3)}


BOOT_CGROUP = Row(
    key="boot-100-cgroup",
    what="exec -> first instruction of the last of 100, each in a control group",
    bare="the daemon without control groups",
)


def _boot(count: int) -> Experiment:
    must, moonshot, cold = _LIMITS[count]
    cached = Row(
        key=f"boot-{count}",
        what=f"exec -> first instruction of the last of {count} units, plan cached",
        bare=f"uvloop program that starts {count} processes",
        must=at_most_x(must),
        moonshot=at_most_x(moonshot),
    )
    uncached = Row(
        key=f"boot-{count}-cold",
        what="the same, nothing cached",
        bare=cached.bare,
        must=at_most_x(cold),
        moonshot=at_most_x(2),
    )

    def run(lab: Lab) -> dict[str, Samples]:
        site = lab.trivial(count)
        warm = _daemon_ms(site, count)
        bare = _bare_ms(lab, site, count)
        site.forget_plan()
        found = {
            cached.key: Samples([warm], [bare]),
            uncached.key: Samples([_daemon_ms(site, count)], [bare]),
        }
        if count == _GROUPED and lab.has_cgroups:
            grouped = _daemon_ms(lab.trivial(count, "auto"), count)
            found[BOOT_CGROUP.key] = Samples([grouped], [warm])
        return found

    more = (BOOT_CGROUP,) if count == _GROUPED else ()
    return Experiment(rows=(cached, uncached, *more), run=run)


def _daemon_ms(site: Site, count: int) -> float:
    with site.daemon() as daemon:
        last = _last_ms(site, daemon, count)
        daemon.wait_ready()
        daemon.stop()
    return last


def _bare_ms(lab: Lab, site: Site, count: int) -> float:
    with site.bare("start", count, *lab.probe(site.marks.path, "{}")) as bare:
        last = _last_ms(site, bare, count)
        bare.stop()
    return last


def _last_ms(site: Site, running: Running, count: int) -> float:
    return (site.marks.wait(count, running)[-1].at_ns - running.begun_ns) / 1e6


DEMO_ROW = Row(
    key="demo",
    what="exec -> READY=1 of the demo (mock agent, debug-http), plan cached",
    bare="uvloop program that starts the same two and awaits their initialize answers",
    must=at_most(600),
    moonshot=at_most(300),
)


def _demo(lab: Lab) -> dict[str, Samples]:
    site = demo_site(lab)
    with site.daemon() as daemon:
        ready = daemon.wait_ready()
        admin = daemon.admin()
        argvs = [admin.get(f"/v1/units/{unit}")["argv"] for unit in _DEMO_UNITS]
        daemon.stop()
    with site.bare("talk", len(argvs), *map(json.dumps, argvs)) as bare:
        answered = (int(bare.wait_said("answered")) - bare.begun_ns) / 1e6
        bare.stop()
    return {DEMO_ROW.key: Samples([ready], [answered])}


_DEMO_UNITS = ("debug-http.channel", "default.agent")


def demo_site(lab: Lab) -> Site:
    """The shipped demo configuration."""
    return lab.made("demo", yaml.safe_load(DEMO.read_text()))


EXPERIMENTS = (*map(_boot, _LIMITS), Experiment(rows=(DEMO_ROW,), run=_demo))
