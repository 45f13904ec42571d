"""Keeps conversations, messages and answers over the end of the daemon."""
