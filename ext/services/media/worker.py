"""The process that decodes images: a job a line on stdin, its outcome a line on stdout.

Its memory, its time on the processor and what it writes are limited by the kernel, so that an image
made to do harm ends this process and nothing else. It ends with its stdin.
"""

import json
import os
import resource
import sys

from shrink import Job, shrink


def limit(which: int, value: int) -> None:
    """Lower a limit of this process; one that is lower already stays."""
    soft, hard = resource.getrlimit(which)
    if soft == resource.RLIM_INFINITY or value < soft:
        resource.setrlimit(which, (value, hard))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a decoder prints is no answer
    memory_bytes, file_bytes, seconds = (int(text) for text in sys.argv[1:4])
    limit(resource.RLIMIT_AS, memory_bytes)
    limit(resource.RLIMIT_FSIZE, file_bytes)
    limit(resource.RLIMIT_CORE, 0)
    os.nice(5)  # chats go before pictures
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        budget = int(used.ru_utime + used.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (budget, most))
        outcome = shrink(Job(**json.loads(line)))
        answers.write(json.dumps(outcome._asdict()) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
