"""The compiled plan as it is kept between starts, and whether it still holds.

A cached plan holds as long as every input of its compilation is what it was: files, directories
that are looked through, variables that `!env` reads, and the versions of the code. With it lies
the first wave, which the engine has decided for a boot: the orders of its spawns, each with the
units it depends on, so that a unit stopped by hand can be left out together with them; and whether
they are to be put into cgroups.

The file is trusted only if nobody else could have written it. Of a secret in options or environment
that comes from a variable or a credential it holds the name alone; one that is written out, or a
variable that is part of a command line, is in it as well, so it is made for nobody but us to read.
A plan that holds the text of a credential is not kept at all.

Imports what the interpreter has loaded anyway, and `marshal`, which is built in.
"""

import marshal
import os
import sys

from anyclawd import __version__
from anyclawd.daemon import places
from anyclawd.model.fingerprint import fingerprint, fingerprint_of_names, fingerprint_of_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from anyclawd.model.value import Json
    from anyclawd.runtime.spawn import Order

    #: (kind, name, content) as the compiler reports them.
    Input: TypeAlias = tuple[str, str, bytes | bool]
    #: Spawns in their order, each with the units on whose start it depends, its own included.
    Orders: TypeAlias = tuple[tuple[Order, frozenset[str]], ...]
    #: `supervisor.cgroup`, and what is started first.
    Wave: TypeAlias = tuple[str, Orders]
    #: Whatever else a plan depends on; compared, and never looked into.
    Key: TypeAlias = tuple[object, ...]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: A change of any of these changes what a plan or its wave means, also between two versions.
_CODE = (
    *("model/unit.py", "model/plan.py", "model/policy.py", "model/deps.py"),
    *("model/conversation.py", "model/tool.py"),
    *("compile/settings.py", "compile/kinds.py", "compile/read.py", "compile/layers.py"),
    *("compile/template.py", "compile/draft.py", "compile/command.py", "compile/secret.py"),
    *("compile/policies.py", "compile/supervision.py", "compile/build.py", "compile/link.py"),
    *("compile/conversations.py", "compile/pool.py", "compile/role.py", "compile/anyclaw.py"),
    *("engine/manager.py", "engine/transaction.py", "engine/obstacles.py", "engine/links.py"),
    *("engine/needs.py", "engine/unit_fsm.py", "daemon/first_wave.py", "runtime/order.py"),
    *("runtime/spawn.py", "compile/tools.py", "compile/compiler.py", "compile/origin.py"),
    *("compile/sources.py", "model/secret.py"),
)


def load(
    state_dir: str, expected: "Key", environ: "Mapping[str, str]"
) -> "tuple[bytes, Wave, tuple[Input, ...]] | None":
    """The plan in its marshalled plain form, its first wave and its inputs, where it holds."""
    content = _read_private(f"{state_dir}/plan")
    if not content:
        return None
    try:
        key, inputs, wave, plan = marshal.loads(content)
    except (ValueError, EOFError, TypeError):
        return None  # cut off, or written by another interpreter
    if key != expected or not holds(inputs, environ):
        return None
    return plan, wave, inputs


def store(
    state_dir: str, key: "Key", inputs: "tuple[Input, ...]", wave: "Wave", plan: bytes
) -> None:
    """Keep a plan for the next start, unless it shows a credential. Raises OSError."""
    if any(kind == "shown-credential" for kind, _, _ in inputs):
        return
    kept: Json = (key, inputs, wave, plan)
    places.write(f"{state_dir}/plan", marshal.dumps(kept))


def key_of(config: str, dropins: str) -> "Key":
    """What a plan is for, and by which code it is made.

    A package gives its files the date of its changelog; when they were put here is ours to see.
    """
    ages = tuple(os.stat(f"{_PACKAGE}/{name}").st_ctime_ns for name in _CODE)
    return (__version__, sys.hexversion, sys.executable, ages, os.getcwd(), config, dropins)


def holds(inputs: "tuple[Input, ...]", environ: "Mapping[str, str]") -> bool:
    """Whether every input of a compilation is what it was."""
    return all(_holds(found, environ) for found in inputs)


def _holds(found: "Input", environ: "Mapping[str, str]") -> bool:
    kind, name, content = found
    if kind == "file":
        return _fingerprint_of_file(name) == content
    if kind == "glob":
        directory, _, suffix = name.rpartition("/*")
        return _fingerprint_of_listing(directory, suffix) == content
    if kind == "env":
        value = environ.get(name)
        return (b"" if value is None else fingerprint(os.fsencode(value))) == content
    if kind in ("credential", "shown-credential"):
        return _fingerprint_of_credential(kind, name, environ) == content
    return (name in environ) is content


def _fingerprint_of_file(path: str, of: "Callable[[bytes], bytes]" = fingerprint) -> bytes:
    try:
        with open(path, "rb") as file:
            return of(file.read())
    except OSError:
        return b""


def _fingerprint_of_credential(kind: str, name: str, environ: "Mapping[str, str]") -> bytes:
    from anyclawd.model.credential import path_of  # only plans with credentials pay for it

    of = fingerprint_of_secret if kind == "credential" else fingerprint
    return _fingerprint_of_file(path_of(name, environ), of)


def _fingerprint_of_listing(directory: str, suffix: str) -> bytes:
    try:
        listed = os.listdir(directory)
    except OSError:
        listed = []
    return fingerprint_of_names(name for name in listed if name.endswith(suffix))


def _read_private(path: str) -> bytes:
    """A file of our own that nobody else may write; empty otherwise."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return b""
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)
