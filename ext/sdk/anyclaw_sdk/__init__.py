"""The SDK for extensions of anyclawd; standard library only.

`channel` and `agent` are the base classes and their harnesses, `types` and `content` the values
they meet, `testing` a tester for each kind. Importing any of them loads no event loop.
"""
