"""A file that is not sent, and the reason for it."""


class Refusal(Exception):
    """The text is for the agent that asked: what is wrong, and what would be right."""
