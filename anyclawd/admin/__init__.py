"""The admin API: HTTP requests to calls of `Control` and back, without decisions of its own.

Nothing is imported here. `admin.control` and `admin.listener` are light; `admin.app` imports
aiohttp, which the daemon therefore does in a thread, and only once there is a client.
"""
