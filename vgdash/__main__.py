"""Command line: ``python -m vgdash inspect model.safetensors``, with exit status 1 on findings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import isroutine
from pathlib import Path

from vgdash.activations import ACTIVATIONS
from vgdash.models.inspect import inspect
from vgdash.number_formats import FORMATS
from vgdash.params import ParamError


def main(arguments: Sequence[str] | None = None) -> int:
    """Inspect a model; return 0 if it is healthy, 1 if not, 2 if it could not be inspected."""
    parser = argparse.ArgumentParser("python -m vgdash", description="See why a network does not train.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("inspect", help="measure a model against theory; exit status 1 on findings")
    command.add_argument("model", help="a .safetensors file, or package.module:factory, where factory() "
                                       "returns (model, inputs[, targets[, loss]])")
    command.add_argument("--activation", default="relu", choices=list(ACTIVATIONS),
                         help="what stands between the weights of a file")
    command.add_argument("--format", action="append", default=[], choices=list(FORMATS), dest="formats",
                         help="a number format to ask about; may be given several times")
    command.add_argument("--json", metavar="FILE", help="write the report")
    command.add_argument("--html", metavar="FILE", help="write the report as a page that needs no network")
    given = parser.parse_args(arguments)
    try:
        report = inspect(*_subject(given.model), activation=given.activation, formats=tuple(given.formats))
        print(report)
        if given.json:
            report.save(given.json)
        if given.html:
            report.to_html(given.html)
    except Exception as error:  # the model's own, too: status 1 says that there are findings
        kind = "" if isinstance(error, (ParamError, OSError)) else f"{type(error).__name__}: "
        print(f"{given.model} could not be inspected. {kind}{error}", file=sys.stderr)
        return 2
    return 0 if report.healthy else 1


def _subject(name: str) -> tuple:
    """Return what to inspect: a file's path, or what a factory returns."""
    module, mark, factory = name.rpartition(":")
    if not mark or not module.replace(".", "").replace("_", "").isalnum():
        if not Path(name).exists() and not Path(name).suffix:
            raise ParamError("model", "a file, or package.module:factory", name, f"Try {name}:make_model.")
        return (name,)
    function = getattr(import_module(module), factory, None)
    if not isroutine(function):
        raise ParamError("model", f"a function of {module} that returns (model, inputs)", factory,
                         "Write package.module:factory.")
    made = function()
    return made if isinstance(made, tuple) else (made,)


if __name__ == "__main__":
    sys.exit(main())
