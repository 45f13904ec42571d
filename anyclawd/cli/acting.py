"""Root at work among the files of others, with no more rights than they have themselves."""

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def groups_of(uid: int) -> tuple[int, list[int]]:
    """The first group of a user, and all of them; a mere number has the group of that number."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return uid, []
    return account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid)


@contextmanager
def acting_as(uid: int, gid: int, groups: Sequence[int] = ()) -> Iterator[None]:
    """Be another user, where we are root: a link that one has put leads to nothing new."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    own, own_groups = os.getegid(), os.getgroups()
    try:
        os.setgroups([gid, *groups])
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(own)
        os.setgroups(own_groups)
