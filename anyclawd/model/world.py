"""What to say when the machine lacks what a unit needs: one text for `validate` and for `start`."""


def no_program(name: str) -> str:
    where = "" if "/" in name else " in PATH"
    return f"no program {name!r}{where}; install it or correct the path"


def not_executable(name: str) -> str:
    return f"{name!r} is not an executable file; correct the path or its mode"


def no_working_dir(path: str) -> str:
    return f"no directory {path!r} to work in; create it or correct working_dir"


def no_user(name: str) -> str:
    return f"no user {name!r} on this machine; create it or correct user"


#: Why `isolate: pid` cannot be had; the daemon itself would need the right to make namespaces.
CANNOT_ISOLATE = (
    "isolate: pid takes a daemon that runs as root; remove it or run the daemon as root"
)
