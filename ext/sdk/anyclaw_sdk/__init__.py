"""The SDK for extensions of anyclawd; standard library only.

`tool`, `channel`, `service`, `agent` and `hook` are what extensions are made of; `types`, `content`
and `blocks` the values they meet; `media` hands files on; `testing` has a tester for each kind.
Importing any but the last loads no event loop.
"""
