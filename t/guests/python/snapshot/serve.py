"""What `python-snapshot` runs. The module is imported before the snapshot, with all that a request is to find, and `prepare` is called
there; `request` is what a request is: the WSGI application, or the file that is the first argument, as Python would run it.

The application is the one that WSGI_APPLICATION names, as MODULE:OBJECT, which is looked for in PYTHONPATH; else the one inside."""

import atexit
import gc
import importlib
import io
import marshal
import os
import random
import sys
import time
import traceback
from posixpath import dirname
from wsgiref.handlers import CGIHandler

# Imported so that programs from files need not: these are what most use.
import datetime, hashlib, html, http.cookies, json, logging, re, urllib.parse  # noqa: E401, F401

application = None


def code_of(path):
    with io.open_code(path) as file:
        content = file.read()
    # 16 bytes say what it was compiled from.
    return marshal.loads(content[16:]) if path.endswith(".pyc") else compile(content, path, "exec", dont_inherit=True)


def run(arguments):
    """Runs the program: nothing comes of it, or an exception."""
    sys.argv[:] = arguments
    if not arguments:
        if application is None:
            raise SystemExit("there is no application inside, and no file as argument")
        return CGIHandler().run(application)
    path = arguments[0]
    sys.path.insert(0, dirname(path))
    main = sys.modules["__main__"]
    main.__file__ = path
    exec(code_of(path), vars(main))


def set_environment(variables):
    table = os.environ._data
    table.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        table[name] = value


def prepare(variables):
    """Imports the application, if its files are there before the snapshot."""
    global application
    set_environment(variables)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
    module, _, name = os.environ.get("WSGI_APPLICATION", "frozen_application:application").partition(":")
    try:
        application = getattr(importlib.import_module(module), name or "application")
    except ModuleNotFoundError as err:
        if err.name != "frozen_application":
            raise
    # The compiler makes its types when it is used first, which takes some milliseconds.
    compile("pass", "", "exec")
    # Objects from before the snapshot stay: to look for those that nobody needs any more would only write to all of them.
    gc.collect()
    gc.freeze()


def begin(variables):
    """Puts right what was remembered of the time before the snapshot."""
    set_environment(variables)
    # Its seed was that of all requests.
    random.seed()
    logging._startTime = time.time()


def status_of(err):
    """The status of a process that ends with this, which has been told if it is not known how it would be."""
    if not isinstance(err, SystemExit):
        traceback.print_exception(err)
        return 1
    if err.code is None or isinstance(err.code, int):
        return (err.code or 0) & 0xFF
    print(err.code, file=sys.stderr)
    return 1


def request(arguments, variables):
    """Runs the program for a request. Answers the status with which the process is to end."""
    status = 0
    try:
        begin(variables)
        run(arguments[1:])
    except BaseException as err:
        status = status_of(err)
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException as err:
        status = status_of(err)
    return status
