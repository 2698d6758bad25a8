"""An array file (.npy) written piece by piece, whose length is known at the end alone."""

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    def __init__(self, path: Path, kind: DTypeLike, columns: int | None = None) -> None:
        self._kind = np.dtype(kind)
        self._columns = columns
        self.length = 0
        self._file = path.open("wb")
        self._write_header()  # as long as the last one: NumPy leaves room for the length to grow
        self._header_size = self._file.tell()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.seek(0)
                self._write_header()
                if self._file.tell() != self._header_size:
                    raise ValueError("the header of an array file has outgrown its place")

    def add(self, rows: NDArray[np.integer]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._kind).data)
        self.length += len(rows)

    def _write_header(self) -> None:
        shape = (self.length,) if self._columns is None else (self.length, self._columns)
        described = {"descr": npy.dtype_to_descr(self._kind), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, described)
