"""A request that is not made, or an answer that is not passed on, and the reason for it."""


class Refusal(Exception):
    """The text is for the model that asked: what is wrong, and what would be right."""
