"""The table of checks: what each is called, what it asks, and how bad its answer can be.

It is the source of the list in docs/reference/doctor.md; `examine` holds what performs each row.
"""

from enum import StrEnum
from typing import NamedTuple

from anyclawd.cli.doctor.finding import Severity


class When(StrEnum):
    """Whether a check needs a daemon that answers."""

    ALWAYS = "always"
    OFFLINE = "offline"
    ONLINE = "online"


class Check(NamedTuple):
    name: str
    asks: str  #: as a question
    worst: Severity  #: that it can have
    when: When = When.ALWAYS
    fixes: str = ""  #: what `--fix` does of it


_WARNING, _ERROR = Severity.WARNING, Severity.ERROR

#: In the order in which they are performed and told.
CHECKS = (
    Check(
        "daemon",
        "Does a daemon answer, is it of this version, is its event loop on time, does the service"
        " manager watch it?",
        _ERROR,
        fixes="removes an admin socket that nobody listens on",
    ),
    Check(
        "configuration",
        "Does the configuration compile, and is what runs what it says?",
        _ERROR,
    ),
    Check(
        "permissions",
        "Who may read and change the configuration, the state and the runtime directory, the"
        " database and files with secrets in them?",
        _ERROR,
        fixes="takes the rights of others away",
    ),
    Check(
        "programs",
        "Is there everything that units need of the machine: programs, interpreters, users,"
        " directories?",
        _ERROR,
        fixes="makes a missing `working_dir` whose parent is there",
    ),
    Check(
        "ports",
        "Are the ports free that the daemon and units are to listen on, and who has them?",
        _ERROR,
        When.OFFLINE,
    ),
    Check(
        "disk",
        "Is there room, in bytes and in files, where state, database and workspaces are?",
        _ERROR,
    ),
)
