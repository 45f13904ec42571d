"""Performs what the router decides: connections to agents, channels and services."""
