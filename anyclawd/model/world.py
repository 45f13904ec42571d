"""What to say when the machine lacks what a unit needs: one text for `validate` and for `start`.

Each text says what is missing and, after the last semicolon, the next move. Imports nothing, since
stage 0 starts units.
"""

#: So much of a file the kernel looks at to know how to execute it. Source: execve(2).
HEAD_BYTES = 256


def no_program(name: str) -> str:
    where = "" if "/" in name else " in PATH"
    return f"no program {name!r}{where}; install it or correct the path"


def no_interpreter(program: str, interpreter: str) -> str:
    where = "" if "/" in interpreter else " in PATH"
    return (
        f"no program {interpreter!r}{where}, which the first line of {program!r} asks for;"
        " install it or correct that line"
    )


def no_loader(program: str) -> str:
    return (
        f"the loader of {program!r} does not exist, so it was built for another system;"
        " install one that was built for this one"
    )


def not_executable(name: str) -> str:
    return f"{name!r} is not an executable file; correct the path or its mode"


def no_working_dir(path: str) -> str:
    return f"no directory {path!r} to work in; create it or correct working_dir"


def no_user(name: str) -> str:
    return f"no user {name!r} on this machine; create it or correct user"


def not_root(user: str) -> str:
    return f"only root can run it as user {user!r}; remove user or run the daemon as root"


def halves(said: str) -> tuple[str, str]:
    """One of these texts as what is missing and the next move."""
    missing, _, remedy = said.rpartition("; ")
    return missing, remedy


def interpreter_of(head: bytes) -> tuple[str, str]:
    """What the first line of a script asks for; both are empty where a file is none.

    That is an interpreter, and the program that it finds in PATH where it is env(1).
    """
    if not head.startswith(b"#!"):
        return "", ""
    line = head[2:].partition(b"\n")[0].decode("utf-8", "surrogateescape").split()
    if not line:
        return "", ""
    interpreter, *words = line
    if interpreter.rpartition("/")[2] != "env":
        return interpreter, ""
    names = (word for word in words if not word.startswith("-") and "=" not in word)
    return interpreter, next(names, "")


#: Why `isolate: pid` cannot be had; the daemon itself would need the right to make namespaces.
CANNOT_ISOLATE = (
    "isolate: pid takes a daemon that runs as root; remove it or run the daemon as root"
)
