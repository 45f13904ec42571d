"""The modules of one extension, imported as its own process would import them."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

EXT = Path(__file__).parents[2] / "ext"


def load_extension(place: str) -> SimpleNamespace:
    """All modules by their names, and `main`; the names are left to those of other extensions.

    `place` is as in `tools/send-file`. Modules are loaded once for each call, and know each other.
    """
    directory = EXT / place
    names = sorted(path.stem for path in directory.glob("*.py") if path.stem != "__main__")
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(directory))
    try:
        modules = {name: importlib.import_module(name) for name in names}
        main = importlib.util.spec_from_file_location("main", directory / "__main__.py")
        return SimpleNamespace(**modules, main=_made(main))
    finally:
        sys.path.remove(str(directory))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)


def _made(spec: ModuleSpec | None) -> ModuleType:
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
