#!/usr/bin/env python3
"""Make the sample PDFs from sources/: needs `pip install reportlab typst` and the DejaVu fonts.

The PDFs are committed, so this is only run after a source has changed. The same versions of the
two generators write the same bytes.
"""

import importlib
import pathlib
import sys

import typst

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "sources"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCES))

for source in sorted(SOURCES.iterdir()):
    target = HERE / f"{source.stem.replace('_', '-')}.pdf"
    if source.suffix == ".typ":
        typst.compile(str(source), output=str(target))
    elif source.suffix == ".py":
        importlib.import_module(source.stem).build(str(target))
    else:
        continue
    print(f"{target.name}: {target.stat().st_size} bytes")
