"""Frozen values that every other floor speaks in: units, policies, plans, states and errors."""
