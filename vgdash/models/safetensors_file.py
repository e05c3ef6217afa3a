"""Read .safetensors files with NumPy and json alone; nothing of a file is run.

Format: 8 bytes, the length of the header; the header, JSON of names to dtype, shape and offsets; the bytes.
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from os import PathLike

import numpy as np

from vgdash.params import ParamError

LARGEST_HEADER = 25_000_000  # bytes; the format's own reader allows 100 MB
MOST_AXES = 8
LONGEST_NAME = 500
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
         "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}
NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def _refuse(rule: str, received: object):
    raise ParamError("file", rule, received, "Write it anew with safetensors.")


class Tensors(Mapping):
    """Arrays of a file by name, each read when asked for; ``formats`` counts entries by number format."""

    def __init__(self, source: str | PathLike | bytes):
        """Check the header of a file, or of its content."""
        if isinstance(source, bytes):
            self.data = np.frombuffer(source, np.uint8)
        else:
            self.data = np.memmap(source, np.uint8, "r") if _size(source) else np.zeros(0, np.uint8)
        if self.data.size < 8:
            _refuse("a .safetensors file, which begins with its header's length", f"{self.data.size} bytes")
        length = int(self.data[:8].view("<u8")[0])
        if not 2 <= length <= min(LARGEST_HEADER, self.data.size - 8):
            _refuse(f"a file whose header has 2 to {LARGEST_HEADER:,} bytes, all in the file", length)
        self.start = 8 + length
        try:
            header = json.loads(self.data[8:self.start].tobytes(), object_pairs_hook=_once)
        except (ValueError, RecursionError):
            _refuse("a file whose header is JSON", bytes(self.data[8:40]))
        if not isinstance(header, dict):
            _refuse("a file whose header names its tensors", header)
        header.pop("__metadata__", None)
        self.entries, self.formats, end = {}, {}, 0
        for name, entry in sorted(header.items(), key=_begin):
            kind, shape, end = self._checked(name, entry, end)
            self.formats[NAMES.get(kind, "")] = self.formats.get(NAMES.get(kind, ""), 0) + math.prod(shape)
        if self.start + end != self.data.size:
            _refuse(f"a file of {self.start + end:,} bytes, as its header says", f"{self.data.size:,} bytes")
        self.order = [name for name in header if name in self.entries]

    def _checked(self, name: str, entry: dict, end: int):
        """Check one tensor: known type, plausible shape, bytes that follow the last tensor's and suffice."""
        kind, shape = entry.get("dtype"), entry.get("shape")
        begin, stop = entry["data_offsets"]
        if not name.isprintable() or len(name) > LONGEST_NAME:
            _refuse(f"a file whose names are one line of at most {LONGEST_NAME} characters", name[:60])
        if kind not in TYPES:
            _refuse(f"a file of the types {', '.join(TYPES)}", f"{kind} at {name[:60]}")
        if not isinstance(shape, list) or len(shape) > MOST_AXES or not _whole(shape):
            _refuse("a file whose shapes are whole numbers", f"{name[:60]}: {str(shape)[:40]}")
        if begin != end or stop - begin != math.prod(shape) * np.dtype(TYPES[kind]).itemsize \
                or self.start + stop > self.data.size:
            _refuse("a file whose tensors follow each other and fit their shapes", name[:60])
        self.entries[name] = kind, tuple(shape), begin, stop
        return kind, shape, stop

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a read-only array; bfloat16 becomes float32."""
        kind, shape, begin, stop = self.entries[name]
        raw = self.data[self.start + begin:self.start + stop].view(TYPES[kind]).reshape(shape)
        return (raw.astype("<u4") << 16).view("<f4") if kind == "BF16" else raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


def _whole(values: list) -> bool:
    return all(type(n) is int and 0 <= n < 2**63 for n in values)


def _size(path) -> int:
    with open(path, "rb") as file:
        return len(file.read(1))


def _once(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _begin(item) -> int:
    name, entry = item
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not _whole(offsets):
        _refuse("a file that says where each tensor begins and ends", name[:60])
    return offsets[0], offsets[1]
