/* SPDX-License-Identifier: Apache-2.0
 *
 * CPython, inside this process: what its unpicklers ask for while they load a stream.
 * Nothing is resolved for real: whatever a stream names becomes an inert stub, so that any
 * stream may be loaded. One interpreter, one thread.
 */
#ifndef PW_TESTS_FUZZ_DIFFERENTIAL_ORACLE_H
#define PW_TESTS_FUZZ_DIFFERENTIAL_ORACLE_H

#include "common/base/cursor.h"

/* Which unpickler reads the stream, and from where. */
enum oracle_reader {
    ORACLE_LOADS,    /* _pickle.loads: from memory */
    ORACLE_FILE,     /* _pickle.Unpickler on an io.BytesIO, which has no peek() */
    ORACLE_BUFFERED, /* _pickle.Unpickler on an io.BufferedReader, which has */
    ORACLE_PYTHON,   /* pickle._Unpickler on an io.BytesIO, as pickle._loads has it */
    ORACLE_READERS
};

/* "loads", "file", "buffered", "python". */
const char *oracle_reader_text(enum oracle_reader reader);

enum oracle_encoding {
    ORACLE_ASCII, /* what a consumer that says nothing gets */
    ORACLE_LATIN1,
    ORACLE_BYTES,
    ORACLE_ENCODINGS
};

struct oracle_call {
    enum oracle_reader reader;
    enum oracle_encoding encoding;
    bool buffers;         /* out-of-band buffers are offered (CPython 3.8 and later) */
    uint32_t buffer_size; /* ORACLE_BUFFERED: of the reader; at least 1 */
    bool closely;         /* find out whether an error is about the bytes; slower */
};

enum oracle_event_kind {
    ORACLE_IMPORT,
    ORACLE_EXTENSION,
    ORACLE_PERSISTENT,
    ORACLE_BUFFER,
    ORACLE_AUDIT /* an event of sys.audit (CPython 3.8 and later), its name in `name` */
};

struct oracle_event {
    enum oracle_event_kind kind;
    uint32_t code;       /* EXTENSION */
    struct pw_span mod;  /* IMPORT: UTF-8, lone surrogates as three bytes each */
    struct pw_span name; /* AUDIT: of the event; both are good until the next question */
};

enum { ORACLE_EVENTS = 512, ORACLE_TEXT = 64 * 1024 };

struct oracle_answer {
    struct oracle_event events[ORACLE_EVENTS];
    size_t count;
    bool full;     /* more happened than is kept */
    bool finished; /* load returned a value */
    bool no_memory;
    bool malformed;    /* asked closely: the bytes are to blame, not what they stand for */
    int64_t position;  /* finished, ORACLE_FILE: where the file stands; otherwise -1 */
    const char *error; /* unfinished: the class of the exception */
    size_t text_used;
    uint8_t text[ORACLE_TEXT]; /* of the names */
};

/* Start the interpreter, once; false, with a sentence on standard error, when it does not.
 */
bool oracle_start(void);

/* "3.11.2": the CPython that runs, not the one whose headers were used. */
const char *oracle_version(void);

/* The stream of the questions that follow; it is copied. */
void oracle_stream(struct pw_span stream);

/* Load the stream and say what happened. */
void oracle_ask(const struct oracle_call *call, struct oracle_answer *answer);

/* Whether a registered extension of this code would call find_class; see oracle.c. */
bool oracle_extension_resolves(uint32_t code);

/*
 * Pickles that this CPython's picklers make of what programs send, in every protocol
 * (seeds.py). `each` is called for every one; false when seeds.py fails, with its traceback
 * on standard error.
 */
bool oracle_seeds(void (*each)(void *arg, struct pw_span stream), void *arg);

#endif
