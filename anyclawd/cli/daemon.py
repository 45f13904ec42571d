"""The way from parsed options to the daemon."""

import os
from argparse import Namespace

from anyclawd.client.client import Client, find_socket


def connect(options: Namespace, timeout_s: float | None = 30.0) -> Client:
    """A client of the daemon the options and the environment name; nothing is sent yet.

    `timeout_s` is the longest silence of the daemon; None where it waits for something itself.
    """
    return Client(find_socket(options.socket, os.environ), timeout_s)
