"""The table of checks: what each is called, what it asks, and what of it can be put right.

It is the source of the list in docs/reference/doctor.md; `examine` holds what performs each row.
"""

from enum import StrEnum
from typing import NamedTuple


class When(StrEnum):
    """Whether a check needs a daemon that answers."""

    ALWAYS = "always"
    ONLINE = "online"


class Check(NamedTuple):
    name: str
    asks: str  #: as a question
    when: When = When.ALWAYS
    fixes: str = ""  #: what `--fix` does of it
    needs_plan: bool = False  #: it is about what the compiled configuration names


#: In the order in which they are performed and told.
CHECKS = (
    Check(
        "daemon",
        "Does a daemon answer, is it of this version, is its event loop on time?",
        fixes="removes an admin socket that nobody listens on",
    ),
    Check(
        "configuration",
        "Does the configuration compile, and is what runs what it says?",
    ),
    Check(
        "permissions",
        "Who may read and change the configuration, the state and the runtime directory, the"
        " database, and files with secrets in them?",
        fixes="takes the rights of others away",
    ),
    Check(
        "credentials",
        "Is every `!credential` handed over, and its file for nobody else to read?",
        fixes="takes the rights of others away",
        needs_plan=True,
    ),
    Check(
        "programs",
        "Is there everything that units need of the machine: programs, interpreters, users,"
        " directories?",
        fixes="makes a missing `working_dir` where its user may make it",
        needs_plan=True,
    ),
    Check(
        "versions",
        "Are Python, its libraries, SQLite and the kernel there and recent enough?",
    ),
    Check(
        "store",
        "Is the database whole, of a schema that is known, and was none set aside as damaged?",
        needs_plan=True,
    ),
    Check(
        "disk",
        "Is there room, in bytes and in files, where state, database and workspaces are?",
    ),
    Check(
        "clock",
        "Is it later than what was written last, and is the clock kept right?",
    ),
    Check(
        "containment",
        "Is it guaranteed that nothing of a unit is left behind, and if not, why?",
    ),
    Check(
        "service",
        "Does systemd look after the daemon: restart, watchdog, start with the machine?",
    ),
    Check(
        "ports",
        "Are the ports free that the daemon and units are to listen on, and who has them?",
        needs_plan=True,
    ),
    Check(
        "extensions",
        "What do units with `check: true` say of themselves?",
        needs_plan=True,
    ),
    Check(
        "agents",
        "Does every agent answer `initialize`, and how soon? Without a daemon each is started,"
        " asked and ended.",
    ),
    Check(
        "units",
        "Which units have failed, are restarted again and again, blocked, degraded or unhealthy,"
        " and why?",
        When.ONLINE,
    ),
    Check(
        "messages",
        "Do messages wait, are answers undelivered or given up, can they be kept?",
    ),
)

#: Those that are left out where the configuration does not compile, or cannot be seen.
NEED_PLAN = tuple(check.name for check in CHECKS if check.needs_plan)
