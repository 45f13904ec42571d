"""The daemon's own figures, by the text that it shows to Prometheus.

Source: Prometheus, "Exposition formats": `name{label="value"} number`.
"""

import re
from collections.abc import Iterator

from anyclawd.cli.doctor.scene import Online

_SAMPLE = re.compile(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"')


class Figures:
    """Samples by name."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for line in text.splitlines():
            found = None if line.startswith("#") else _SAMPLE.match(line)
            if found is not None:
                labels = dict(_LABEL.findall(found[2] or ""))
                self._samples.setdefault(found[1], []).append((labels, float(found[3])))

    def value(self, name: str) -> float | None:
        """The value of the first sample of this name."""
        return next((value for _, value in self._samples.get(name, ())), None)

    def by(self, name: str, label: str) -> Iterator[tuple[str, float]]:
        for labels, value in self._samples.get(name, ()):
            yield labels.get(label, ""), value


def read(online: Online) -> Figures:
    return Figures(online.client.text("/metrics"))
