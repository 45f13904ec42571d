"""Where the packaged units of systemd keep their things: `anyclawd` and `anyclawd@NAME`.

A deployment has one name for its configuration, its state, its socket and its unit; see
docs/how-to/operate.md. A user's own one has the XDG directories.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_NAME = r"anyclawd(?:@[^/]+)?"
_CONFIG = re.compile(rf"/etc/({_NAME})/[^/]+")
_SOCKET = re.compile(rf"/run/({_NAME})/admin\.sock")


class Deployment(NamedTuple):
    name: str
    is_users: bool = False  #: a user's own service manager has it

    @property
    def unit(self) -> str:
        return f"{self.name}.service"

    @property
    def config(self) -> str:
        return f"/etc/{self.name}/anyclaw.yaml"

    @property
    def socket(self) -> str:
        return f"/run/{self.name}/admin.sock"

    @property
    def state_dir(self) -> str:
        return f"/var/lib/{self.name}"


def by_config(config: str, environ: Mapping[str, str]) -> Deployment | None:
    """Whose configuration this is; None for one that no packaged unit is for."""
    if found := _CONFIG.fullmatch(config):
        return Deployment(found[1])
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    is_users = config.startswith(f"{home}/anyclawd/")
    return Deployment("anyclawd", is_users=True) if is_users else None


def by_socket(socket: str) -> Deployment | None:
    found = _SOCKET.fullmatch(socket)
    return Deployment(found[1]) if found else None
