"""Touching files as the user of a unit, where that is not the daemon's own.

Only a daemon that is root has such units. A file of the workspace that its user may not read is not
read for it either, and what is made is the user's. Each thread has a file-system identity of its
own; one that has taken another on ends with its work and never takes its own back.
Source: setfsuid(2), credentials(7).
"""

import os

#: setgroups(2) of the kernel, which is about one thread; that of the C library is about all.
_SETGROUPS = {
    "x86_64": 116,
    "aarch64": 159,
    "riscv64": 159,
    "loongarch64": 159,
    "ppc64le": 81,
    "s390x": 206,
    "armv7l": 206,
    "i686": 206,
}


def act_as(user: str) -> None:
    """Let the thread that calls be this user towards files, by name or number, and for good.

    Nothing changes for the daemon's own user, or an empty one. Raises OSError, and KeyError where
    there is no such user.
    """
    if not user:
        return
    import pwd  # only units with a user of their own pay for it, and for the next one

    account = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    if account.pw_uid == os.geteuid():
        return
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(f"cannot act as user {user!r} on {os.uname().machine}")
    ids = os.getgrouplist(account.pw_name, account.pw_gid)
    if library.syscall(number, len(ids), (ctypes.c_uint32 * len(ids))(*ids)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    library.setfsgid(account.pw_gid)
    library.setfsuid(account.pw_uid)
    if library.setfsuid(-1) != account.pw_uid:  # which changes nothing, and tells
        raise OSError(f"cannot act as user {user!r}")
