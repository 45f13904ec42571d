"""`anyclawctl doctor`: what is wrong with an installation, and what to do about it.

A check is a row of the table in `checks`. Its evidence (`evidence`) is gathered from the machine
and from the daemon, without changing anything; its verdict (`verdict`) is a pure function of
evidence to findings. How to put right what is safe to put right is a plain value too, which `fix`
performs.
"""
