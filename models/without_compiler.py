"""torchvision without torch._dynamo, the compiler's front end, which nothing here uses.

`torchvision.ops.roi_align` asks torch._dynamo.utils for one function, which it calls only where a
GPU has to be deterministic. That import takes longer than torch and torchvision together, and a
night waits for it in every process it starts. So while torchvision is being loaded, a stand-in is
there in its place; whoever needs the real one afterwards, that function too, loads it. A process
asks for this itself, before it loads a detector: the command line, and every worker.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PACKAGE = "torchvision"
SPARED = "torch._dynamo.utils"


def spare_the_compiler() -> None:
    """From now on in this process; nothing happens where torchvision has been loaded already."""
    if PACKAGE not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def built(module: str, name: str, *arguments: Any) -> Any:
    """What this module makes of these arguments, without the compiler. An object whose `__reduce__`
    names this function brings the wish along into the process that unpickles it first of all."""
    spare_the_compiler()
    return getattr(import_module(module), name)(*arguments)


def _is_compile_supported(device_type: Any) -> Any:
    """The one function, as it is in the real module."""
    return import_module(SPARED).is_compile_supported(device_type)


def _from_the_real_one(name: str) -> Any:
    """Another release of torchvision asks for something else: give it the real module's."""
    if name.startswith("__"):
        raise AttributeError(name)
    sys.modules.pop(SPARED, None)
    return getattr(import_module(SPARED), name)


@contextmanager
def _stand_in() -> Iterator[None]:
    module = ModuleType(SPARED)
    module.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    module.__getattr__ = _from_the_real_one  # type: ignore[method-assign]
    sys.modules[SPARED] = module
    try:
        yield
    finally:
        if sys.modules.get(SPARED) is module:
            del sys.modules[SPARED]


class _Loader(Loader):
    """torchvision's own, with the stand-in while it works."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        if SPARED in sys.modules:
            return self._own.exec_module(module)
        with _stand_in():
            return self._own.exec_module(module)


class _Finder(MetaPathFinder):
    """Finds torchvision, once, where it is found anyway."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != PACKAGE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec
