"""torchvision and training without torch._dynamo, the compiler's front end: nothing here uses it.

`torchvision.ops.roi_align` asks torch._dynamo.utils for one function, which it calls only where a
GPU has to be deterministic. That import takes longer than torch and torchvision together, and a
night waits for it in every process it starts. So while torchvision is being loaded, a stand-in is
there in its place; whoever needs the real one afterwards, that function too, loads it. A process
asks for this itself, before it loads a detector: the command line, and every worker.

torch's optimizers ask torch._dynamo to leave them alone, at their first step. Training has a
stand-in for it too (`uncompiled`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PACKAGE = "torchvision"
COMPILER = "torch._dynamo"
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


@contextmanager
def uncompiled() -> Iterator[None]:
    """While this lasts, optimizers do not load the compiler; where it is there already, or somebody
    asks it for anything else meanwhile, they have the real one."""
    if COMPILER in sys.modules:
        yield
        return
    left_alone: list[Callable[..., Any]] = []

    def disable(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        left_alone.append(function)
        return function

    module = ModuleType(COMPILER)
    module.disable = disable  # type: ignore[attr-defined]
    module.graph_break = _nothing  # type: ignore[attr-defined]
    module.__getattr__ = partial(_from_the_real_one, COMPILER)  # type: ignore[method-assign]
    with _in_place_of(COMPILER, module):
        yield
    for function in left_alone:  # torch keeps the answer; the real one's is another
        vars(function).pop("__dynamo_disable", None)


def _nothing() -> None:
    """Nothing that is not compiled can be broken into two graphs."""


def _is_compile_supported(device_type: Any) -> Any:
    """The one function, as it is in the real module."""
    return import_module(SPARED).is_compile_supported(device_type)


def _from_the_real_one(spared: str, name: str) -> Any:
    """Another release of torch or torchvision asks for something else, or somebody for a module of
    the package (by its `__path__`): give it the real one's."""
    if name.startswith("__") and (spared, name) != (COMPILER, "__path__"):
        raise AttributeError(name)
    if isinstance(getattr(sys.modules.get(spared), "__getattr__", None), partial):
        del sys.modules[spared]
    return getattr(import_module(spared), name)


@contextmanager
def _stand_in() -> Iterator[None]:
    module = ModuleType(SPARED)
    module.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    module.__getattr__ = partial(_from_the_real_one, SPARED)  # type: ignore[method-assign]
    with _in_place_of(SPARED, module):
        yield


@contextmanager
def _in_place_of(name: str, module: ModuleType) -> Iterator[None]:
    sys.modules[name] = module
    try:
        yield
    finally:
        if sys.modules.get(name) is module:
            del sys.modules[name]


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
