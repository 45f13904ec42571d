"""`reload [UNIT...]`: take up a changed configuration, or let units take up what is theirs."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import jobs, reload, render
from anyclawd.cli.daemon import connect
from anyclawd.client.exchange import USAGE_ERROR, ClientError


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "units",
        nargs="*",
        metavar="UNIT",
        help="let these units reload, by their exec_reload; without any: the configuration",
    )
    jobs.configure_waiting(parser)


def run(options: Namespace) -> int:
    """Status 1 if the configuration cannot be used, or a job of the reload has failed."""
    if options.units:
        return jobs.run("reload", options)
    if jobs.contradicts_itself("reload", options):
        return USAGE_ERROR
    if options.job_mode != "replace":
        print("anyclawctl reload: --job-mode is for units; name some", file=sys.stderr)
        return USAGE_ERROR
    try:
        answer = reload.reload(
            connect(options),
            dry_run=options.dry_run,
            waits=not options.no_block,
            timeout_s=options.timeout,
        )
    except ClientError as error:
        if options.json and error.findings:
            findings = list(error.findings)
            render.print_json({"error": {"code": error.code, "findings": findings}})
        raise
    if options.json:
        render.print_json(answer)
    else:
        reload.report(answer, is_dry=options.dry_run)
    return reload.status(answer)
