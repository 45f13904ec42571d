"""How evidence is read: what systemd says, the daemon's figures, places of deployments."""

import pytest

from anyclawd.cli.doctor import deployment
from anyclawd.cli.doctor.deployment import Deployment
from anyclawd.cli.doctor.evidence.metrics import Figures
from anyclawd.cli.doctor.evidence.service_manager import told
from anyclawd.cli.doctor.verdict.service import ServiceFacts

SHOWN = """\
Restart=on-failure
NRestarts=2
WatchdogUSec=1min 30s
Result=success
User=anyclawd
WorkingDirectory=!/var/lib/anyclawd/workspace
Delegate=yes
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
"""
WRITTEN = """\
# /usr/lib/systemd/system/anyclawd.service
[Service]
LoadCredential=old:/etc/old
#LoadCredential=comment:/etc/comment
EnvironmentFile=-/etc/default/anyclawd
Environment=A=b

# /etc/systemd/system/anyclawd.service.d/override.conf
[Service]
LoadCredential=
LoadCredential=key:/etc/anyclawd/key
LoadCredential=found
LoadCredentialEncrypted=sealed:elsewhere
SetCredential=inline:the secret itself
ImportCredential=anyclaw.*
LoadCredential=own:/etc/anyclawd@%i/own%%
LoadCredential=elsewhere:%h/key
EnvironmentFile=/etc/anyclawd@%i/env
EnvironmentFile=%h/env
"""


def test_systemd_is_understood() -> None:
    facts = told("anyclawd@shop.service", SHOWN, WRITTEN, is_users=False, lingers=True)
    assert facts == ServiceFacts(
        is_booted=True,
        unit="anyclawd@shop.service",
        is_loaded=True,
        active="active",
        result="success",
        enabled="enabled",
        restarts=2,
        restart="on-failure",
        watchdog_s=90.0,
        is_delegated=True,
        user="anyclawd",
        working_directory="/var/lib/anyclawd/workspace",
        credentials=(
            ("key", "/etc/anyclawd/key"),
            ("found", "credstore/found"),
            ("own", "/etc/anyclawd@shop/own%"),
            ("elsewhere", ""),
            ("sealed", "credstore.encrypted/elsewhere"),
            ("inline", ""),
            ("anyclaw.*", ""),
        ),
        environment_files=("/etc/default/anyclawd", "/etc/anyclawd@shop/env"),
    )
    assert "the secret itself" not in repr(facts)


def test_a_unit_that_there_is_not_is_told() -> None:
    facts = told("x.service", "LoadState=not-found\n", "", is_users=True, lingers=False)
    assert facts == ServiceFacts(is_booted=True, unit="x.service", is_users=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("500ms", 0.5), ("1h 2min", 3720.0), ("0", 0.0), ("infinity", 0.0), ("", 0.0)],
)
def test_durations_of_systemd(text: str, seconds: float) -> None:
    shown = f"LoadState=loaded\nWatchdogUSec={text}\n"
    assert told("x", shown, "", is_users=False, lingers=True).watchdog_s == seconds


@pytest.mark.parametrize(
    ("written", "seconds"), [("30", 30.0), ("1min", 60.0), ("", 0.0), ("infinity", 0.0)]
)
def test_the_watchdog_of_what_does_not_run_is_the_written_one(written: str, seconds: float) -> None:
    shown = "LoadState=loaded\nWatchdogUSec=0\n"
    facts = told("x", shown, f"WatchdogSec={written}\n", is_users=False, lingers=True)
    assert facts.watchdog_s == seconds


METRICS = r"""
# HELP anyclawd_queue_depth Messages that wait for their turn.
# TYPE anyclawd_queue_depth gauge
anyclawd_queue_depth{agent="default"} 3.0
anyclawd_queue_depth{agent="with \"quotes\""} 1e2
anyclawd_loop_lag_max_seconds 0.25
anyclawd_unit_state{state="active",unit="a.agent"} 1.0
"""


def test_figures_are_read_by_name_and_label() -> None:
    figures = Figures(METRICS)
    assert figures.value("anyclawd_loop_lag_max_seconds") == 0.25
    assert figures.value("anyclawd_nothing") is None
    depths = dict(figures.by("anyclawd_queue_depth", "agent"))
    assert depths == {"default": 3.0, r"with \"quotes\"": 100.0}
    assert [*figures.by("anyclawd_unit_state", "unit")] == [("a.agent", 1.0)]


HOME = {"HOME": "/home/ann"}
CONFIGS = {
    "/etc/anyclawd/anyclaw.yaml": Deployment("anyclawd"),
    "/etc/anyclawd@shop/anyclaw.yaml": Deployment("anyclawd@shop"),
    "/home/ann/.config/anyclawd/anyclaw.yaml": Deployment("anyclawd", is_users=True),
    "/etc/anyclawd@/anyclaw.yaml": None,
    "/etc/anyclawd/units.d/x.yaml": None,
    "/srv/anyclaw.yaml": None,
    "": None,
}


@pytest.mark.parametrize(("config", "found"), CONFIGS.items())
def test_a_configuration_belongs_to_a_deployment(config: str, found: Deployment | None) -> None:
    assert deployment.by_config(config, HOME) == found


def test_a_deployment_has_its_places_by_its_name() -> None:
    shop = deployment.by_socket("/run/anyclawd@shop/admin.sock")
    assert shop == Deployment("anyclawd@shop")
    assert shop is not None
    assert (shop.unit, shop.state_dir) == ("anyclawd@shop.service", "/var/lib/anyclawd@shop")
    assert deployment.by_config(shop.config, {}) == deployment.by_socket(shop.socket) == shop
    assert deployment.by_socket("/tmp/admin.sock") is None
