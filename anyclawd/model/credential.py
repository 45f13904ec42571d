"""Credentials: secrets that the service manager hands to the daemon as files in one directory.

What a name may be, where its file is and which text it holds; who asks reads the file. Imports
nothing, since stage 0 reveals credentials to the first wave. Source: systemd.exec(5),
"Credentials"; filename_is_valid() and fdname_is_valid() of systemd for names.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names the directory; the service manager sets it for services that are given credentials.
VARIABLE = "CREDENTIALS_DIRECTORY"
#: The largest that systemd hands over.
LARGEST_BYTES = 2**20

_LONGEST_NAME = 255
#: Its directories are `/run/credentials/<unit>` and `$XDG_RUNTIME_DIR/credentials/<unit>`.
_OF_SYSTEMD = "/credentials/"


def is_name(name: str) -> bool:
    """Whether a credential can have this name."""
    if not 0 < len(name) <= _LONGEST_NAME or name in (".", ".."):
        return False
    return all(" " <= letter <= "~" and letter not in "/:" for letter in name)


def path_of(name: str, environ: "Mapping[str, str]") -> str:
    """Where the credential is, if it was given; empty where none was given at all."""
    directory = environ.get(VARIABLE)
    return f"{directory}/{name}" if directory else ""


def text_of(content: bytes) -> str:
    """What a credential says, without the newline that editors end a file with.

    Raises ValueError, which says why it cannot be used and nothing of what it holds.
    """
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES // 2**20} MiB, the most that is read")
    try:
        return content.removesuffix(b"\n").decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"its byte {error.start + 1} is not UTF-8, expected UTF-8 text") from None


def not_known(name: str) -> str:
    """What is said where nobody but the daemon could have it."""
    return f"the credential {name} is not known here: the service manager alone has it"


def not_given(name: str, environ: "Mapping[str, str]") -> str:
    """Why there is no such credential, and the next move."""
    directory = environ.get(VARIABLE)
    if directory and _OF_SYSTEMD not in directory:
        return (
            f"the credential {name} is not in {directory}, which {VARIABLE} names; put a file of"
            " that name there (in a container: a secret of that name) and start the daemon again"
        )
    if directory:
        why = f"the credential {name} is not among those that the service is given"
    else:
        why = f"the credential {name} cannot be had, since {VARIABLE} is not set"
    return (
        f"{why}; add LoadCredential={name}:/path to a drop-in of the unit ('systemctl edit')"
        " and restart it ('systemctl restart')"
    )
