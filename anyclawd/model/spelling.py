"""Which known name somebody has probably meant."""

from collections.abc import Collection

#: How many candidates of about the right length and look one suggestion compares in full.
_MOST_COMPARED = 200


def nearest(word: str, among: Collection[str]) -> str:
    """The name in `among` that `word` most likely stands for, or empty. Linear in `among`."""
    if not word or not among:
        return ""
    from difflib import get_close_matches  # only a mistake pays for the imports
    from heapq import nlargest

    longest_difference = 1 + len(word) // 3
    alike = (
        name for name in among if name != word and abs(len(name) - len(word)) <= longest_difference
    )
    likely = nlargest(_MOST_COMPARED, alike, key=lambda name: _shared_ends(name, word))
    matches = get_close_matches(word, likely, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _shared_ends(name: str, word: str) -> int:
    """How many characters two words share at their beginning and at their end."""
    shared = 0
    for one, other in zip(name, word, strict=False):
        if one != other:
            break
        shared += 1
    for one, other in zip(reversed(name), reversed(word), strict=False):
        if one != other:
            break
        shared += 1
    return shared
