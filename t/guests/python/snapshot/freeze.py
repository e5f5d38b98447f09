"""Freezes modules for `python-snapshot`: compiles them, and writes what main.c has for its file system.

  freeze.py OUT NAME=PATH... LIBRARY

OUT.bin has the code of all modules, OUT.s is that for the assembler, and OUT.c the table of them. LIBRARY is the folder of Python's own library, all of which is taken
but what nobody needs in a request; NAME is what a file is imported as. Run it with the Python that is to run the code."""

import marshal
import os
import sys

# Tests, tools for programmers, other systems, screens and processes.
LEFT_OUT = {
    "__hello__", "__phello__", "_aix_support", "_bootsubprocess", "_osx_support", "antigravity", "ctypes", "curses", "dbm", "distutils",
    "ensurepip", "idlelib", "lib2to3", "msilib", "multiprocessing", "pydoc", "pydoc_data", "site-packages", "sqlite3", "test", "this",
    "tkinter", "turtle", "turtledemo", "unittest", "venv", "xml", "asyncio",
}


def modules(library):
    """Name, file, and whether it is a package, of each module of the library."""
    for folder, folders, files in os.walk(library):
        path = [] if folder == library else os.path.relpath(folder, library).split(os.sep)
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", "test", "tests") and not (not path and name in LEFT_OUT))
        for file in sorted(files):
            name, extension = os.path.splitext(file)
            if extension != ".py" or (not path and name in LEFT_OUT):
                continue
            is_package = name == "__init__"
            if path or not is_package:
                yield ".".join(path if is_package else [*path, name]), os.path.join(folder, file), is_package


ASSEMBLER = """    .section .rodata.frozen_code,"",@
    .globl frozen_code
frozen_code:
    .incbin "%s"
    .size frozen_code, . - frozen_code
"""


def main():
    out, *named, library = sys.argv[1:]
    wanted = [(name, path, False) for name, _, path in (word.partition("=") for word in named)]
    with open(out + ".bin", "wb") as binary, open(out + ".c", "w") as table:
        table.write('#include <Python.h>\n\nextern const unsigned char frozen_code[];\n\nconst struct _frozen frozen_modules[] = {\n')
        known = len(wanted)
        for number, (name, path, is_package) in enumerate([*wanted, *modules(library)]):
            with open(path, "rb") as file:
                source = file.read()
            # What tracebacks show: files that are no part of the library have names.
            shown = os.path.basename(path) if number < known else f"<frozen {name}>"
            code = marshal.dumps(compile(source, shown, "exec", dont_inherit=True, optimize=0))
            table.write(f'    {{"{name}", frozen_code + {binary.tell()}, {len(code)}, {int(is_package)}, NULL}},\n')
            binary.write(code)
        table.write("    {NULL, NULL, 0, 0, NULL},\n};\n")
    with open(out + ".s", "w") as assembler:
        assembler.write(ASSEMBLER % binary.name)


main()
