"""The walk of send-file beside the kernel's own, over the random trees of a workspace's walk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.extension import load_extension
from tests.property.test_workspace_walk import PATHS, TREES, has_openat2, kernel_reads, planted

modules = load_extension("tools/send-file")


def reads(root: str, path: str) -> bytes | None:
    try:
        found = modules.below.open_below(root, path, 100)
    except modules.refusal.Refusal:
        return None
    with found.file:
        content: bytes = found.file.read()
        assert len(content) == found.size
        return content


@pytest.mark.skipif(not has_openat2(), reason="needs openat2(2)")
@settings(max_examples=100, deadline=None)
@given(tree=TREES, paths=st.lists(PATHS, min_size=1, max_size=8))
def test_the_walk_finds_what_the_kernel_finds(
    tree: dict[str, int | str | None], paths: list[str]
) -> None:
    with planted(tree) as root:
        for path in paths:
            ends_as_directory = path.rstrip("/") != path or path.endswith("/.")
            if not ends_as_directory:  # which only the kernel asks of a file
                assert reads(str(root), path) == kernel_reads(str(root), path), path
            assert reads(str(root), path) != b"outside"
            assert reads(str(root), f"{root}/{path}") == reads(str(root), path)
