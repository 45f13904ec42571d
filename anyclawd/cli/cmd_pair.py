"""`pair [list|approve CODE|revoke PEER]`: let in peers that were given a code, and take it back."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from fnmatch import fnmatchcase

from anyclawd.cli import render
from anyclawd.cli.arguments import add_verbs
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean
from anyclawd.client.client import query
from anyclawd.client.exchange import FAILED, ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json


def configure(parser: ArgumentParser) -> None:
    verbs = {
        "list": ("list the codes that can be approved, and who was let in", _no_arguments, _list),
        "approve": ("let in the peer who was given a code", _configure_approve, _approve),
        "revoke": ("take back that peers were let in", _configure_revoke, _revoke),
    }
    add_verbs(parser, verbs, "list")


def run(options: Namespace) -> int:
    status: int = options.run(options)
    return status


def _no_arguments(_parser: ArgumentParser) -> None:
    """No arguments of its own."""


def _list(options: Namespace) -> int:
    pairing = connect(options).get("/v1/pairing")
    if options.json:
        render.print_json(pairing)
        return 0
    if not pairing["codes"] and not pairing["grants"]:
        print("no codes, and nobody was let in by hand")
        return 0
    paint = Paint(sys.stdout)
    parts = []
    if pairing["codes"]:
        rows = [
            (clean(row["code"]), _peer_of(row), render.duration(row["remaining_s"]))
            for row in pairing["codes"]
        ]
        table = render.table(rows, ("CODE", "PEER", "EXPIRES IN"))
        parts.append(render.headed(table, paint))
    if pairing["grants"]:
        table = render.table([(_peer_of(row),) for row in pairing["grants"]], ("LET IN",))
        parts.append(render.headed(table, paint))
    print("\n\n".join(parts))
    return 0


def _peer_of(row: Json) -> str:
    """Spelled as the key of the peer's session."""
    return clean(f"{row['channel']}:{row['kind']}:{row['peer']}")


def _configure_approve(parser: ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="as the peer was told")


def _approve(options: Namespace) -> int:
    admitted = connect(options).post("/v1/pairing/approve", {"code": options.code})
    if options.json:
        render.print_json(admitted)
    else:
        print(f"let in {_peer_of(admitted)}")
    return 0


def _configure_revoke(parser: ArgumentParser) -> None:
    parser.add_argument(
        "peers", nargs="+", metavar="PEER", help="as pair list shows them, or patterns"
    )


def _revoke(options: Namespace) -> int:
    """Status 1 where one of them means nobody; nothing is taken back then."""
    client = connect(options)
    grants = {_key_of(row): row for row in client.get("/v1/pairing")["grants"]}
    chosen: dict[str, Json] = {}
    for wanted in options.peers:
        hits = {
            key: row
            for key, row in grants.items()
            if key == wanted or (wanted not in grants and fnmatchcase(key, wanted))
        }
        if not hits:
            text = f"nobody was let in as {wanted!r}; pair list has those who were"
            raise ClientError(text, FAILED)
        chosen.update(hits)
    for row in chosen.values():
        client.delete(f"/v1/grants?{query((name, row[name]) for name in _PARTS)}")
    if options.json:
        render.print_json({"grants": list(chosen.values())})
    else:
        print("\n".join(f"took back the access of {clean(key)}" for key in chosen))
    return 0


#: What a grant is made of.
_PARTS = ("channel", "kind", "peer")


def _key_of(row: Json) -> str:
    return ":".join(row[name] for name in _PARTS)
