"""The router: events in, commands out; decides where every message goes and how it ends."""
