import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXT = Path(__file__).parents[3] / "ext"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], ModuleType]]:
    """Import one module of an extension as its own process would: `load("agents/mock", name)`."""
    before = set(sys.modules)

    def load(extension: str, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(EXT / extension))
        return importlib.import_module(name)

    yield load
    for name, module in list(sys.modules.items()):
        if name not in before and str(getattr(module, "__file__", "")).startswith(str(EXT)):
            del sys.modules[name]
