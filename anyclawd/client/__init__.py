"""The admin API's client: the standard library and nothing else, quick to import."""
