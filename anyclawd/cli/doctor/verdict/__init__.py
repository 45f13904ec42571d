"""What evidence means: pure functions to findings, each with what to do about it."""
