"""What words of a command line can become, for `cmd_complete`: from the daemon, or without one."""
