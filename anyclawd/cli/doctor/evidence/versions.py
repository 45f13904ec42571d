"""What is installed, as its own metadata says."""

import os
import platform
import sqlite3
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from anyclawd.cli.doctor.verdict.versions import EXTRAS, LIBRARIES, VersionFacts


def facts() -> VersionFacts:
    system = os.uname()
    known = {**LIBRARIES, **{name: library for name, (library, _) in EXTRAS.items()}}
    return VersionFacts(
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        system=system.sysname,
        kernel=system.release,
        has_pidfds=_has_pidfds(),
        libraries={name: _version_of(name, library.module) for name, library in known.items()},
        uvloop_failure=_uvloop_failure(),
    )


def _version_of(name: str, module: str) -> str | None:
    """None where it is not installed, whatever its metadata says."""
    try:
        return version(name) if find_spec(module) is not None else None
    except ModuleNotFoundError:  # PackageNotFoundError is one
        return None


def _uvloop_failure() -> str:
    """It is a program of the machine, so that it can be there and be made for another one."""
    try:
        import_module("uvloop")
    except ImportError as error:
        return str(error)
    return ""


def _has_pidfds() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return False
    return True
