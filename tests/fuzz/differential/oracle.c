/* SPDX-License-Identifier: Apache-2.0
 *
 * Uses CPython's C API as it was in 3.6 and still is in 3.13. PW_ORACLE_PYTHON is the path
 * of the interpreter whose library this is linked with, so that it finds its own modules.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "tests/fuzz/differential/oracle.h"

/* Cyclic garbage is collected after so many questions; never in between. */
enum { COLLECT_EVERY = 4096, BUFFERS_OFFERED = 3 };

/* Extensions are registered under a module name that no stream happens to spell. */
#define EXTENSION_MODULE "\1extension"
#define CACHED_CODE 3

static const uint32_t extension_codes[] = {1, 2, 300, 70000};

static struct {
    PyObject *loads;
    PyObject *reading; /* a class: _pickle.Unpickler with our persistent_load */
    PyObject *python;  /* a class: pickle._Unpickler with our hooks */
    PyObject *bytes_io;
    PyObject *buffered_reader;
    PyObject *collect;
    PyObject *extension_cache;
    PyObject *keywords[ORACLE_ENCODINGS][2]; /* by encoding and `buffers` */
    PyObject *load;                          /* the names of methods */
    PyObject *tell;
    PyObject *word; /* a str that names a module */
    PyObject *nothing;
    PyObject *instance;
    PyObject *function;
    PyObject *plain; /* a class */
    PyObject *stream;
    uint32_t asked;
} here;

/* Where the hooks write while a load runs. */
static struct oracle_answer *answering;
static uint32_t buffers_given;
static bool loading;

const char *
oracle_reader_text(enum oracle_reader reader)
{
    static const char *const texts[] = {[ORACLE_LOADS] = "loads",
                                        [ORACLE_FILE] = "file",
                                        [ORACLE_BUFFERED] = "buffered",
                                        [ORACLE_PYTHON] = "python"};
    return texts[reader];
}

bool
oracle_extension_resolves(uint32_t code)
{
    for (size_t i = 0; i < PW_COUNT(extension_codes); i++) {
        if (extension_codes[i] == code) {
            return true;
        }
    }
    return false;
}

/* ---- what happened --------------------------------------------------------------------
 */

static struct oracle_event *
new_event(enum oracle_event_kind kind)
{
    static struct oracle_event spare;
    if (answering->count == ORACLE_EVENTS) {
        answering->full = true;
        return &spare;
    }
    struct oracle_event *event = &answering->events[answering->count++];
    *event = (struct oracle_event){.kind = kind};
    return event;
}

static struct pw_span
keep_text(struct pw_span text)
{
    if (text.len > ORACLE_TEXT - answering->text_used) {
        answering->full = true;
        return (struct pw_span){0};
    }
    uint8_t *copy = answering->text + answering->text_used;
    memcpy(copy, text.ptr, text.len);
    answering->text_used += text.len;
    return (struct pw_span){copy, text.len};
}

/* A str as UTF-8; lone surrogates need the slow way. */
static struct pw_span
text_of(PyObject *string)
{
    Py_ssize_t len;
    const char *plain = PyUnicode_AsUTF8AndSize(string, &len);
    if (plain != NULL) {
        return keep_text((struct pw_span){(const uint8_t *)plain, (size_t)len});
    }
    PyErr_Clear();
    PyObject *encoded = PyUnicode_AsEncodedString(string, "utf-8", "surrogatepass");
    if (encoded == NULL) {
        PyErr_Clear();
        return keep_text(pw_span_str("?"));
    }
    struct pw_span bytes = {(const uint8_t *)PyBytes_AS_STRING(encoded),
                            (size_t)PyBytes_GET_SIZE(encoded)};
    bytes = keep_text(bytes);
    Py_DECREF(encoded);
    return bytes;
}

/* ---- stubs ----------------------------------------------------------------------------
 */

static PyObject *
do_nothing(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    Py_RETURN_NONE;
}

static PyObject *
borrow(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static PyObject *
make_instance(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)type;
    (void)args;
    (void)keywords;
    return borrow(here.instance);
}

static PyObject *
make_plain(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    return type->tp_alloc(type, 0);
}

static int
ignore_arguments(PyObject *self, PyObject *args, PyObject *keywords)
{
    (void)self;
    (void)args;
    (void)keywords;
    return 0;
}

static PyObject *
call_instance(PyObject *self, PyObject *args, PyObject *keywords)
{
    (void)self;
    (void)args;
    (void)keywords;
    return borrow(here.instance);
}

/* What a function returns may be a name for STACK_GLOBAL. */
static PyObject *
call_function(PyObject *self, PyObject *args, PyObject *keywords)
{
    (void)self;
    (void)args;
    (void)keywords;
    return borrow(here.word);
}

static int
ignore_write(PyObject *self, PyObject *key, PyObject *value)
{
    (void)self;
    (void)key;
    (void)value;
    return 0;
}

static PyObject *
iterate(PyObject *self)
{
    (void)self;
    PyObject *empty = PyTuple_New(0);
    PyObject *iterator = empty == NULL ? NULL : PyObject_GetIter(empty);
    Py_XDECREF(empty);
    return iterator;
}

/* All that an unpickler calls on what it fills. */
static PyMethodDef methods[] = {{"append", do_nothing, METH_VARARGS, NULL},
                                {"extend", do_nothing, METH_VARARGS, NULL},
                                {"add", do_nothing, METH_VARARGS, NULL},
                                {"update", do_nothing, METH_VARARGS, NULL},
                                {"items", do_nothing, METH_VARARGS, NULL},
                                {"__setstate__", do_nothing, METH_VARARGS, NULL},
                                {NULL, NULL, 0, NULL}};

/* The same on the class itself, where `append` would not be bound. */
static PyObject *
get_from_class(PyObject *self, PyObject *name)
{
    for (const PyMethodDef *method = methods; method->ml_name != NULL; method++) {
        if (PyUnicode_CompareWithASCIIString(name, method->ml_name) == 0) {
            return borrow(here.nothing);
        }
    }
    return PyType_Type.tp_getattro(self, name);
}

static PyMappingMethods writable = {.mp_ass_subscript = ignore_write};

static PyTypeObject stub_meta = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "differential.StubMeta",
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_getattro = get_from_class,
    .tp_setattro = ignore_write, /* nothing may last until the next stream */
    .tp_as_mapping = &writable,
};

static PyTypeObject stub_type = {
    PyVarObject_HEAD_INIT(&stub_meta, 0).tp_name = "differential.Stub",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = make_instance,
    .tp_init = ignore_arguments,
    .tp_call = call_instance,
    .tp_iter = iterate,
    .tp_methods = methods,
    .tp_as_mapping = &writable,
};

static PyTypeObject plain_meta = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "differential.PlainMeta",
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_setattro = ignore_write,
};

/* Its instances have a dictionary and no __setstate__. */
static PyTypeObject plain_base = {
    PyVarObject_HEAD_INIT(&plain_meta, 0).tp_name = "differential.PlainBase",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = make_plain,
    .tp_init = ignore_arguments,
};

static PyTypeObject function_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "differential.function",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_call = call_function,
};

static PyObject *
next_buffer(PyObject *self)
{
    (void)self;
    (void)new_event(ORACLE_BUFFER);
    if (buffers_given++ == BUFFERS_OFFERED) {
        return NULL;
    }
    return buffers_given % 2 != 0 ? PyByteArray_FromStringAndSize("m", 1)
                                  : PyBytes_FromStringAndSize("C", 1);
}

static PyTypeObject buffers_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "differential.buffers",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = next_buffer,
};

/* ---- hooks ----------------------------------------------------------------------------
 */

/* What a name resolves to, by the name alone: most are classes, as in life. */
static PyObject *
resolved(struct pw_span name)
{
    uint8_t first = name.len > 0 ? name.ptr[0] : 0;
    switch (first) {
    case 'D':
        return borrow(here.plain);
    case 'f':
        return borrow(here.function);
    case 's':
        return pw_span_equal(name, pw_span_str("sep")) ? borrow(here.word)
                                                       : borrow(here.instance);
    case 'e':
        return PyDict_New();
    case '_':
        return name.len == 1 ? PyList_New(0) : borrow((PyObject *)&stub_type);
    default:
        return borrow((PyObject *)&stub_type);
    }
}

static PyObject *
find_class(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *mod;
    PyObject *name;
    if (!PyArg_UnpackTuple(args, "find_class", 2, 2, &mod, &name)) {
        return NULL;
    }
    struct oracle_event *event = new_event(ORACLE_IMPORT);
    event->mod = text_of(mod);
    event->name = text_of(name);
    if (pw_span_equal(event->mod, pw_span_str(EXTENSION_MODULE))) {
        event->kind = ORACLE_EXTENSION;
        char digits[16] = "";
        memcpy(digits, event->name.ptr,
               event->name.len < sizeof digits ? event->name.len : sizeof digits - 1);
        event->code = (uint32_t)strtoul(digits, NULL, 10);
    }
    return resolved(event->name);
}

/* What a consumer makes of an id may be a name, too. */
static PyObject *
persistent_load(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    (void)new_event(ORACLE_PERSISTENT);
    return borrow(answering->count % 2 != 0 ? here.word : here.instance);
}

#if PY_VERSION_HEX >= 0x03080000
/*
 * Imports, code objects, files, processes: whatever CPython thinks worth watching, but the
 * complaint that tame_interpreter speaks of.
 */
static int
on_audit(const char *event, PyObject *args, void *data)
{
    (void)args;
    (void)data;
    if (loading && strcmp(event, "sys.excepthook") != 0) {
        new_event(ORACLE_AUDIT)->name = keep_text(pw_span_str(event));
    }
    return 0;
}

static bool
watch_audit(void)
{
    return PySys_AddAuditHook(on_audit, NULL) == 0;
}
#else
static bool
watch_audit(void)
{
    return true;
}
#endif

static PyMethodDef find_class_def = {"find_class", find_class, METH_VARARGS, NULL};
static PyMethodDef persistent_def = {"persistent_load", persistent_load, METH_VARARGS,
                                     NULL};
static PyMethodDef nothing_def = {"nothing", do_nothing, METH_VARARGS, NULL};

#ifdef PW_SANITIZED
/* CPython keeps what it needs until the end, and means to; it also asks for gigabytes. */
static const char sanitizer_options[] =
    "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512";

const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
    return sanitizer_options;
}

const char *
__tsan_default_options(void)
{
    return sanitizer_options;
}
#endif

/* ---- start ----------------------------------------------------------------------------
 */

#if PY_VERSION_HEX >= 0x03080000
static bool
start_interpreter(void)
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    PyStatus status =
        PyConfig_SetBytesString(&config, &config.program_name, PW_ORACLE_PYTHON);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    return !PyStatus_Exception(status);
}
#else
static bool
start_interpreter(void)
{
    static wchar_t program[] = L"" PW_ORACLE_PYTHON;
    Py_SetProgramName(program);
    Py_IsolatedFlag = 1;
    Py_IgnoreEnvironmentFlag = 1;
    Py_NoSiteFlag = 1;
    Py_InitializeEx(0);
    return Py_IsInitialized() != 0;
}
#endif

static bool
ready_types(void)
{
    stub_meta.tp_base = &PyType_Type;
    plain_meta.tp_base = &PyType_Type;
    PyTypeObject *types[] = {&stub_meta,  &stub_type,     &plain_meta,
                             &plain_base, &function_type, &buffers_type};
    for (size_t i = 0; i < PW_COUNT(types); i++) {
        if (PyType_Ready(types[i]) != 0) {
            return false;
        }
    }
    here.instance = (PyObject *)PyObject_New(PyObject, &stub_type);
    here.function = (PyObject *)PyObject_New(PyObject, &function_type);
    here.plain = PyObject_CallFunction((PyObject *)&plain_meta, "s(O){}", "D",
                                       (PyObject *)&plain_base);
    here.nothing = PyCFunction_New(&nothing_def, NULL);
    here.word = PyUnicode_InternFromString("m");
    return here.instance != NULL && here.function != NULL && here.plain != NULL &&
           here.nothing != NULL && here.word != NULL;
}

static PyObject *
attribute_of(const char *module, const char *name)
{
    PyObject *imported = PyImport_ImportModule(module);
    PyObject *found = imported == NULL ? NULL : PyObject_GetAttrString(imported, name);
    Py_XDECREF(imported);
    return found;
}

/*
 * _pickle.loads makes an Unpickler of the base class, whose find_class it looks up as an
 * attribute; a builtin in the class's dictionary is found there, and is not bound.
 */
static bool
replace_find_class(void)
{
    PyObject *base = attribute_of("_pickle", "Unpickler");
    PyObject *hook = PyCFunction_New(&find_class_def, NULL);
    if (base == NULL || hook == NULL) {
        return false;
    }
    PyTypeObject *type = (PyTypeObject *)base;
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *dict = PyType_GetDict(type);
#else
    PyObject *dict = borrow(type->tp_dict);
#endif
    bool good = PyDict_SetItemString(dict, "find_class", hook) == 0;
    PyType_Modified(type);
    Py_DECREF(dict);
    Py_DECREF(hook);
    Py_DECREF(base);
    return good;
}

static PyObject *
subclass_of(const char *module, const char *name)
{
    PyObject *base = attribute_of(module, name);
    PyObject *find = PyCFunction_New(&find_class_def, NULL);
    PyObject *persistent = PyCFunction_New(&persistent_def, NULL);
    PyObject *made = NULL;
    if (base != NULL && find != NULL && persistent != NULL) {
        made =
            PyObject_CallFunction((PyObject *)&PyType_Type, "s(O){s:O,s:O}", "Recording",
                                  base, "find_class", find, "persistent_load", persistent);
    }
    Py_XDECREF(base);
    Py_XDECREF(find);
    Py_XDECREF(persistent);
    return made;
}

/* The keyword arguments of every variant, made once. */
static bool
make_keywords(void)
{
    static const char *const encodings[] = {
        [ORACLE_ASCII] = NULL, [ORACLE_LATIN1] = "latin1", [ORACLE_BYTES] = "bytes"};
    PyObject *buffers = (PyObject *)PyObject_New(PyObject, &buffers_type);
    for (int i = 0; i < ORACLE_ENCODINGS * 2; i++) {
        PyObject *words = PyDict_New();
        PyObject *name =
            encodings[i / 2] == NULL ? NULL : PyUnicode_FromString(encodings[i / 2]);
        if (words == NULL || buffers == NULL || PyErr_Occurred() ||
            (name != NULL && PyDict_SetItemString(words, "encoding", name) != 0)) {
            return false;
        }
        Py_XDECREF(name);
#if PY_VERSION_HEX >= 0x03080000
        if (i % 2 != 0 && PyDict_SetItemString(words, "buffers", buffers) != 0) {
            return false;
        }
#endif
        here.keywords[i / 2][i % 2] = words;
    }
    return true;
}

/* The cache holds one extension, whose use asks nobody. */
static bool
fill_extension_cache(void)
{
    PyObject *code = PyLong_FromLong(CACHED_CODE);
    PyDict_Clear(here.extension_cache);
    bool good = code != NULL &&
                PyDict_SetItem(here.extension_cache, code, (PyObject *)&stub_type) == 0;
    Py_XDECREF(code);
    return good;
}

static bool
register_extensions(void)
{
    PyObject *copyreg = PyImport_ImportModule("copyreg");
    if (copyreg == NULL) {
        return false;
    }
    for (size_t i = 0; i <= PW_COUNT(extension_codes); i++) {
        bool cached = i == PW_COUNT(extension_codes);
        unsigned code = cached ? CACHED_CODE : extension_codes[i];
        char name[16];
        snprintf(name, sizeof name, "%u", code);
        PyObject *done = PyObject_CallMethod(copyreg, "add_extension", "ssI",
                                             EXTENSION_MODULE, name, code);
        if (done == NULL) {
            return false;
        }
        Py_DECREF(done);
    }
    here.extension_cache = PyObject_GetAttrString(copyreg, "_extension_cache");
    Py_DECREF(copyreg);
    return here.extension_cache != NULL && fill_extension_cache();
}

/*
 * Collect only when asked to, and never look at what was there before. Codecs are imported
 * now, and not by the first stream that needs them. Nothing is printed while streams are
 * loaded: a BYTEARRAY8 that there is no memory for makes CPython complain about its own
 * bytearray.
 */
static bool
tame_interpreter(void)
{
    return PyRun_SimpleString(
               "import codecs, gc, sys\n"
               "for name in 'ascii latin1 utf-8 raw-unicode-escape'.split():\n"
               "    codecs.lookup(name)\n"
               "gc.disable()\n"
               "gc.collect()\n"
               "getattr(gc, 'freeze', gc.collect)()\n"
               "sys.stderr = None\n") == 0;
}

static bool
start(void)
{
    here.load = PyUnicode_InternFromString("load");
    here.tell = PyUnicode_InternFromString("tell");
    here.loads = attribute_of("_pickle", "loads");
    here.bytes_io = attribute_of("io", "BytesIO");
    here.buffered_reader = attribute_of("io", "BufferedReader");
    here.collect = attribute_of("gc", "collect");
    here.reading = subclass_of("_pickle", "Unpickler");
    here.python = subclass_of("pickle", "_Unpickler");
    return here.load != NULL && here.tell != NULL && here.loads != NULL &&
           here.bytes_io != NULL && here.buffered_reader != NULL && here.collect != NULL &&
           here.reading != NULL && here.python != NULL && replace_find_class() &&
           make_keywords() && register_extensions() && watch_audit() && tame_interpreter();
}

bool
oracle_start(void)
{
    if (!start_interpreter() || !ready_types() || !start()) {
        if (PyErr_Occurred()) {
            PyErr_Print();
        }
        fprintf(stderr, "differential: %s does not start inside this program\n",
                PW_ORACLE_PYTHON);
        return false;
    }
    return true;
}

const char *
oracle_version(void)
{
    static char version[32];
    snprintf(version, sizeof version, "%.*s", (int)strcspn(Py_GetVersion(), " "),
             Py_GetVersion());
    return version;
}

/* ---- questions ------------------------------------------------------------------------
 */

void
oracle_stream(struct pw_span stream)
{
    Py_XDECREF(here.stream);
    here.stream =
        PyBytes_FromStringAndSize((const char *)stream.ptr, (Py_ssize_t)stream.len);
    if (here.stream == NULL) {
        abort();
    }
}

static PyObject *
call_with(PyObject *callee, PyObject *argument, PyObject *keywords)
{
    PyObject *args = PyTuple_Pack(1, argument);
    PyObject *result = args == NULL ? NULL : PyObject_Call(callee, args, keywords);
    Py_XDECREF(args);
    return result;
}

/* A file over the stream. */
static PyObject *
open_stream(const struct oracle_call *call)
{
    PyObject *file = PyObject_CallFunctionObjArgs(here.bytes_io, here.stream, NULL);
    if (file == NULL || call->reader != ORACLE_BUFFERED) {
        return file;
    }
    PyObject *buffered =
        PyObject_CallFunction(here.buffered_reader, "OI", file, call->buffer_size);
    Py_DECREF(file);
    return buffered;
}

static PyObject *
load_file(const struct oracle_call *call, PyObject *keywords)
{
    PyObject *file = open_stream(call);
    if (file == NULL) {
        return NULL;
    }
    PyObject *kind = call->reader == ORACLE_PYTHON ? here.python : here.reading;
    PyObject *unpickler = call_with(kind, file, keywords);
    PyObject *value =
        unpickler == NULL ? NULL : PyObject_CallMethodObjArgs(unpickler, here.load, NULL);
    if (value != NULL && call->reader == ORACLE_FILE) {
        PyObject *position = PyObject_CallMethodObjArgs(file, here.tell, NULL);
        answering->position = position == NULL ? -1 : PyLong_AsLongLong(position);
        Py_XDECREF(position);
    }
    Py_XDECREF(unpickler);
    Py_DECREF(file);
    return value;
}

/* What Modules/_pickle.c and Lib/pickle.py say of streams that no value could save. */
static bool
is_about_bytes(PyObject *message)
{
    static const char *const starts[] = {
        "unpickling stack underflow",  "unexpected MARK",
        "could not find MARK",         "pickle data was truncated",
        "pickle exhausted before end", "beginning of a new frame",
        "Memo value not found",        "odd number of items",
        "the STRING opcode argument",  "could not convert string",
        "invalid literal for int"};
    PyObject *text = message == NULL ? NULL : PyObject_Str(message);
    const char *words = text == NULL ? NULL : PyUnicode_AsUTF8(text);
    bool about = false;
    for (size_t i = 0; words != NULL && i < PW_COUNT(starts) && !about; i++) {
        about = strncmp(words, starts[i], strlen(starts[i])) == 0;
    }
    Py_XDECREF(text);
    PyErr_Clear();
    return about;
}

/* Bytes or memo run out: no stub raises these. Others tell by their words. */
static bool
is_malformed(PyObject *type, PyObject *message)
{
    /* Before 3.8 a KeyError may be an opcode of protocol 5. */
    bool knows_all = PY_VERSION_HEX >= 0x03080000;
    return PyErr_GivenExceptionMatches(type, PyExc_EOFError) ||
           (knows_all && PyErr_GivenExceptionMatches(type, PyExc_KeyError)) ||
           is_about_bytes(message);
}

static void
note_error(struct oracle_answer *answer, bool closely)
{
    PyObject *type;
    PyObject *message;
    PyObject *trace;
    PyErr_Fetch(&type, &message, &trace);
    if (type == NULL) {
        return;
    }
    answer->error = ((PyTypeObject *)type)->tp_name;
    answer->no_memory = PyErr_GivenExceptionMatches(type, PyExc_MemoryError) != 0;
    answer->malformed = closely && is_malformed(type, message);
    Py_DECREF(type);
    Py_XDECREF(message);
    Py_XDECREF(trace);
}

static void
tidy_up(void)
{
    if (PyDict_Size(here.extension_cache) != 1 && !fill_extension_cache()) {
        abort();
    }
    if (++here.asked % COLLECT_EVERY == 0) {
        PyObject *collected = PyObject_CallObject(here.collect, NULL);
        Py_XDECREF(collected);
        PyErr_Clear();
    }
}

void
oracle_ask(const struct oracle_call *call, struct oracle_answer *answer)
{
    answer->count = 0;
    answer->text_used = 0;
    answer->full = false;
    answer->no_memory = false;
    answer->malformed = false;
    answer->position = -1;
    answer->error = NULL;
    answering = answer;
    buffers_given = 0;
    PyObject *keywords = here.keywords[call->encoding][call->buffers ? 1 : 0];
    loading = true;
    PyObject *value = call->reader == ORACLE_LOADS
                          ? call_with(here.loads, here.stream, keywords)
                          : load_file(call, keywords);
    loading = false;
    answer->finished = value != NULL;
    note_error(answer, call->closely);
    Py_XDECREF(value);
    tidy_up();
}

/* ---- real pickles ---------------------------------------------------------------------
 */

/* The list that seeds.py makes; NULL with an exception. */
static PyObject *
run_seeds(void)
{
    FILE *file = fopen(PW_ORACLE_SEEDS, "rb");
    if (file == NULL) {
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, PW_ORACLE_SEEDS);
    }
    PyObject *names = PyDict_New();
    PyObject *done = NULL;
    if (names != NULL && PyDict_SetItemString(names, "__name__", here.word) == 0 &&
        PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0) {
        done = PyRun_File(file, PW_ORACLE_SEEDS, Py_file_input, names, names);
    }
    (void)fclose(file);
    PyObject *streams = done == NULL ? NULL : PyDict_GetItemString(names, "streams");
    Py_XINCREF(streams);
    Py_XDECREF(done);
    Py_XDECREF(names);
    return streams;
}

bool
oracle_seeds(void (*each)(void *arg, struct pw_span stream), void *arg)
{
    PyObject *streams = run_seeds();
    if (streams == NULL || !PyList_Check(streams)) {
        (void)PySys_SetObject("stderr", PySys_GetObject("__stderr__"));
        PyErr_Print();
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(streams); i++) {
        PyObject *bytes = PyList_GET_ITEM(streams, i);
        each(arg, (struct pw_span){(const uint8_t *)PyBytes_AS_STRING(bytes),
                                   (size_t)PyBytes_GET_SIZE(bytes)});
    }
    Py_DECREF(streams);
    return true;
}
