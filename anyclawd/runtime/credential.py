"""Reads credentials where the service manager has put them.

The daemon reads them, and its children get what is declared: they are not told the directory.
Imports built-in modules only, since stage 0 starts units that have secrets.
"""

from anyclawd.model.credential import LARGEST_BYTES, path_of, text_of
from anyclawd.model.secret import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyclawd.model.secret import Credential


def reader(environ: "Mapping[str, str]") -> "Credential":
    """Reads the credentials that the daemon with this environment was given."""

    def read(name: str) -> str | None:
        path = path_of(name, environ)
        if not path:
            return None
        try:
            with open(path, "rb") as file:
                return text_of(file.read(LARGEST_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            text = f"cannot read the credential {name}: {error.strerror}"
            raise Unavailable(text) from error
        except ValueError as error:
            raise Unavailable(f"cannot use the credential {name}: {error}") from error

    return read
