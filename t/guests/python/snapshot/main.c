/* Program `python-snapshot`: CPython inside a program of WASI, initialised before a snapshot is taken (`wizer-initialize`), so that a
 * request (`_start`) finds an interpreter that runs, with the library and the application imported. What is Python of it is in
 * serve.py. Without a snapshot `_start` initialises by itself. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>
#include <wasi/libc-environ.h>
#include <wasi/libc.h>

/* The library and the application, as freeze.py has made them. */
extern const struct _frozen frozen_modules[];

extern char **environ;

/* The linker makes it: the constructors of libc. */
void __wasm_call_ctors(void);

void initialize(void) __attribute__((export_name("wizer-initialize")));
void _start(void);

static PyObject *serve;

static int import_has_no_random;

int __real_getentropy(void *bytes, size_t size);

/* Random numbers that are read before the snapshot would be the same in all requests, and the host refuses programs that read some.
 * The module `random` seeds its generator when it is imported, so there it gets zeros, and serve.py seeds it again in each request. */
int __wrap_getentropy(void *bytes, size_t size)
{
    if (!import_has_no_random)
        return __real_getentropy(bytes, size);
    memset(bytes, 0, size);
    return 0;
}

static _Noreturn void fail(void)
{
    PyErr_Print();
    __wasi_proc_exit(1);
}

static void check(PyStatus status)
{
    if (!PyStatus_Exception(status))
        return;
    fprintf(stderr, "%s: %s\n", status.func ? status.func : "Python", status.err_msg ? status.err_msg : "it does not start");
    __wasi_proc_exit(1);
}

static void start_interpreter(void)
{
    PyPreConfig early;
    PyPreConfig_InitIsolatedConfig(&early);
    early.utf8_mode = 1;
    check(Py_PreInitialize(&early));

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    /* The hashes of strings are the same in all requests and all processes, where the host refuses random numbers. Who knows them can
     * choose the keys of a form so that a dict of them is slow; what that takes is bounded by the host. */
    const char *seed = getenv("PYTHONHASHSEED");
    config.use_hash_seed = !seed || strcmp(seed, "random") != 0;
    config.hash_seed = 0;
    /* All modules are frozen ones: there are no files yet. To say where they would be spares Python the search. */
    config.site_import = 0;
    config.write_bytecode = 0;
    config.module_search_paths_set = 1;
    check(PyConfig_SetString(&config, &config.program_name, L"python"));
    check(PyConfig_SetString(&config, &config.executable, L""));
    check(PyConfig_SetString(&config, &config.base_executable, L""));
    check(PyConfig_SetString(&config, &config.prefix, L""));
    check(PyConfig_SetString(&config, &config.base_prefix, L""));
    check(PyConfig_SetString(&config, &config.exec_prefix, L""));
    check(PyConfig_SetString(&config, &config.base_exec_prefix, L""));
    PyImport_FrozenModules = frozen_modules;
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
}

/* The environment of this request: libc has kept the one that there was when it was asked first, which was none. */
static PyObject *environment(void)
{
    __wasilibc_deinitialize_environ();
    __wasilibc_initialize_environ();
    PyObject *list = PyList_New(0);
    for (char **variable = environ; list && variable && *variable; variable++) {
        PyObject *bytes = PyBytes_FromString(*variable);
        if (!bytes || PyList_Append(list, bytes) != 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
    }
    return list;
}

static PyObject *arguments(void)
{
    size_t count = 0, size = 0;
    if (__wasi_args_sizes_get(&count, &size) != 0)
        return PyErr_Format(PyExc_OSError, "no arguments");
    uint8_t **pointers = calloc(count + 1, sizeof(*pointers)), *strings = malloc(size + 1);
    if (!pointers || !strings || __wasi_args_get(pointers, strings) != 0)
        return PyErr_NoMemory();
    PyObject *list = PyList_New(0);
    for (size_t n = 0; list && n < count; n++) {
        PyObject *string = PyUnicode_DecodeFSDefault((char *)pointers[n]);
        if (!string || PyList_Append(list, string) != 0)
            Py_CLEAR(list);
        Py_XDECREF(string);
    }
    free(pointers);
    free(strings);
    return list;
}

/* The directories: libc looks for them when it starts only, which may be in the snapshot of a host that has none for it then. */
static void find_directories(void)
{
    static int found;
    if (found)
        return;
    __wasi_prestat_t directory;
    for (__wasi_fd_t fd = 3; __wasi_fd_prestat_get(fd, &directory) == 0; fd++) {
        size_t size = directory.u.dir.pr_name_len;
        char *name = calloc(size + 1, 1);
        if (name && __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, size) == 0)
            found = __wasilibc_register_preopened_fd((int)fd, name) == 0;
        free(name);
    }
}

void initialize(void)
{
    __wasm_call_ctors();
    start_interpreter();
    import_has_no_random = 1;
    Py_XDECREF(PyImport_ImportModule("random"));
    import_has_no_random = 0;
    if (PyErr_Occurred() || !(serve = PyImport_ImportModule("serve")))
        fail();
    find_directories();
    PyObject *variables = environment();
    PyObject *done = variables ? PyObject_CallMethod(serve, "prepare", "O", variables) : NULL;
    Py_XDECREF(variables);
    if (!done)
        fail();
    Py_DECREF(done);
}

void _start(void)
{
    if (!serve)
        initialize();
    find_directories();
    PyObject *list = arguments(), *variables = list ? environment() : NULL;
    PyObject *code = variables ? PyObject_CallMethod(serve, "request", "OO", list, variables) : NULL;
    if (!code)
        fail();
    /* The interpreter is not taken down: what there is of it goes with the instance. */
    long number = PyLong_AsLong(code);
    if (number != 0)
        __wasi_proc_exit((__wasi_exitcode_t)number);
}
