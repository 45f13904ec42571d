"""anyclawd: a supervisor and gateway for AI agents, their channels, tools and services.

Nothing is imported here: the daemon's first wave starts before any other module is loaded.
"""

__version__ = "0.1.0"
