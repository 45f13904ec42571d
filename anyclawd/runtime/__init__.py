"""Performs what the engine decides: processes, pipes, timers, on asyncio and uvloop."""
