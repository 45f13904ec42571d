"""The composition root: the one place that builds objects and puts them together.

Nothing is imported here: `stage0` runs before everything else.
"""
