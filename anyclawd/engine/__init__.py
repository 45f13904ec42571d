"""Decides what happens to units: events in, commands out, no input or output of its own."""
