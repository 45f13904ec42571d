"""The directory of a unit that outlives its processes, below the daemon's own state directory.

It is made before a spawn, also in the first wave, so only built-in modules are imported. It is for
the unit's user alone; that one passes through the daemon's directories, and sees nothing in them.
Nobody removes it: what a unit keeps is not the daemon's.
"""

import errno
import posix

from anyclawd.model import world

#: The variable that names it. Source: systemd.exec(5), StateDirectory=.
VARIABLE = "STATE_DIRECTORY"

_TYPE, _DIRECTORY = 0o170000, 0o040000
_PASS = 0o011


def make(root: str, unit: str, user: str) -> str:
    """The path of a unit's directory, which is there and its user's when this returns.

    `root` is the daemon's state directory, `user` a name or number, or empty for the daemon's own.
    Raises OSError whose `strerror` is the text for people.
    """
    above = f"{root}/units"
    path = f"{above}/{unit}"
    uid, gid = _account_of(user)
    try:
        for one in (above, path):
            try:
                posix.mkdir(one, 0o700)
            except FileExistsError:
                continue
        _give(path, uid, gid)
        if uid != posix.geteuid():
            _open_way(root)
            _open_way(above)
    except OSError as error:
        if not error.filename:
            raise  # it has a text for people
        text = f"cannot make its state directory {path!r}: {error.strerror}"
        raise OSError(error.errno, text) from error
    return path


def _give(path: str, uid: int, gid: int) -> None:
    """Let a directory be of this user alone; of what is in it nothing is touched."""
    found = posix.lstat(path)
    if found.st_mode & _TYPE != _DIRECTORY:
        text = f"its state directory {path!r} is no directory; remove what is there"
        raise OSError(errno.ENOTDIR, text)
    if found.st_uid != uid:
        posix.chown(path, uid, gid)
    if found.st_mode & 0o7777 != 0o700:
        posix.chmod(path, 0o700)


def _account_of(user: str) -> tuple[int, int]:
    if not user:
        return posix.geteuid(), posix.getegid()
    import pwd  # only units with a user pay for it

    try:
        account = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.EINVAL, world.no_user(user)) from None
    return account.pw_uid, account.pw_gid


def _open_way(directory: str) -> None:
    """Let another user pass through a directory of ours."""
    mode = posix.stat(directory).st_mode & 0o7777
    if mode & _PASS != _PASS:
        posix.chmod(directory, mode | _PASS)
