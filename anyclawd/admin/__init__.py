"""The admin API: HTTP requests to calls of `Control` and back, without decisions of its own.

Nothing is imported here. `admin.control` is light; `admin.app` imports aiohttp, which the daemon
therefore imports in a thread.
"""
