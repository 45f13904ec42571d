import pytest

from anyclawd.compile.quantity import duration_s, format_duration, format_size, size_bytes

DURATIONS = {
    "0": 0,
    "90": 90,
    "1.5": 1.5,
    "500ms": 0.5,
    "1min 30s": 90,
    "1m30s": 90,
    "1h 2m": 3720,
    "2 d": 172800,
    "1w": 604800,
    "250us": 0.00025,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items(), ids=DURATIONS)
def test_a_duration_is_a_number_of_seconds_or_spans_with_units(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "-1", "soon", "1x", "1 minute", "s", "1,5", "\u0661", "1s-2s"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration_s(text) is None


SIZES = {
    "0": 0,
    "65536": 65536,
    "512m": 536870912,
    "2g": 2**31,
    "16 MiB": 2**24,
    "1.5K": 1536,
    "10b": 10,
    "1TB": 2**40,
}


@pytest.mark.parametrize(("text", "size"), SIZES.items(), ids=SIZES)
def test_a_size_is_counted_in_powers_of_1024(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "5x", "m", "1 000", "0x10", "1e3"])
def test_what_is_no_size_is_none(text: str) -> None:
    assert size_bytes(text) is None


def test_quantities_are_written_the_short_way() -> None:
    assert [format_duration(s) for s in (0, 0.1, 90, 86400, 0.000002)] == [
        "0",
        "100ms",
        "1min 30s",
        "1d",
        "2us",
    ]
    assert [format_size(n) for n in (0, 1000, 2**24, 3 * 2**30)] == [
        "0",
        "1000",
        "16 MiB",
        "3 GiB",
    ]
