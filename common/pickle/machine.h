/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of the abstract machine, and the small operations on it. Internal to this
 * folder.
 *
 * Values are 8 bytes. A constant is the offset of the opcode that pushed it, so its bytes
 * are looked at only when somebody asks; a container or instance is an index into
 * `objects`.
 */
#ifndef PW_COMMON_PICKLE_MACHINE_H
#define PW_COMMON_PICKLE_MACHINE_H

#include "common/pickle/decode.h"
#include "common/pickle/scan.h"

/* A growing array that keeps its memory from scan to scan. */
#define PW_ARRAY(type)                                                                     \
    struct {                                                                               \
        type *at;                                                                          \
        uint32_t len;                                                                      \
        uint32_t cap;                                                                      \
    }

enum {
    OBJECT_HAS_GLOBAL = 1, /* a tuple with a global in it, or in a tuple in it */
    OBJECT_SETTLED = 2,    /* those globals are recorded as values */
    OBJECT_KEPT = 4,       /* a tuple short enough for an argument rule */
    OBJECT_ORIGIN = 8,     /* an instance whose `link` is an import */
    OBJECT_STORED = 16,    /* it is in another object */
    OBJECT_ENTERED = 32,   /* unfold.c was there … */
    OBJECT_WALKED = 64,    /* … and is done with it */
    OBJECT_LATE = 128,     /* it was filled after it went into another object */
    OBJECT_BUILT = 256,    /* an instance that has its state, or a dict that is one */
    OBJECT_SPECIAL = 512,  /* a dict with a key that is, or may be, such as __class__ */
    OBJECT_PLANTS = 1024, /* a dict with a key that no state may have, or it is within … */
    OBJECT_HIDES = 2048,  /* … or a dict with one that may be such a key in disguise */
    OBJECT_KEYED = 4096,  /* an instance that has keys and values */
    OBJECT_REFERS = 8192, /* a dict with a global among its values */
    OBJECT_POSES = 16384, /* a dict with a key by which pandas tells its own kinds */
    OBJECT_ARGS = 32768,  /* a dict with the key of what an exception makes a tuple of */
};

/*
 * `link` of a tuple or frozenset: the first of its items; of a list, dict or set: the
 * newest run of the containers in it (unfold.c); of an instance: the import it came from,
 * or without OBJECT_ORIGIN the reason why nothing may be done to it (enum pw_reason).
 */
struct object {
    uint32_t link;
    uint32_t count; /* items, pairs counted twice; instance: newest run */
    uint32_t size;  /* values that a walk over it meets, itself included */
    uint16_t depth; /* containers on the longest way down, itself included */
    uint16_t flags;
};

enum { TUPLE_KEEPS = 16, VALUE_ABSENT = 0xff };

/* What some values add to a container that they go into. */
struct nested {
    uint32_t depth; /* of the deepest */
    uint64_t size;  /* of all */
};

/* A memo entry whose key a C unpickler would allocate gigabytes for; refused, yet followed.
 */
struct far_entry {
    uint64_t key;
    struct pw_value value;
};

enum { FAR_ENTRIES = 16 };

/* The hash of an instance that hashes by the arguments of its call. */
struct hashed {
    uint64_t hash;
    uint32_t object;
};

/* Where a walk over nested objects is (unfold.c). */
struct pw_children {
    uint32_t at;
    uint32_t end;
    uint32_t run;
};

struct walk_step {
    struct pw_value value;
    struct pw_children children;
    struct nested sum;
};

/* Decoded text: see struct pw_value.decoded. */
struct chunk;

struct pw_scan {
    struct pw_span frame;
    struct pw_limits limits;
    enum pw_err err; /* latched: PW_E_NOMEM */

    struct pw_scan *nested; /* for pickles inside constants; NULL until there is one */
    uint32_t nesting;       /* how many scanners this one is inside of */

    PW_ARRAY(struct pw_value) stack;
    uint32_t stack_room;      /* values it may hold before something must be asked */
    uint32_t plain_from;      /* from this height on the stack holds constants only */
    PW_ARRAY(uint32_t) marks; /* heights of the stack where MARK stood */
    uint32_t fence;           /* height of the newest mark: below it nothing is reachable */

    PW_ARRAY(struct pw_value) memo; /* kind VALUE_ABSENT: never written */
    uint32_t memo_count;            /* distinct keys */
    bool memo_gap;                  /* some new key was not the number of keys before it */
    struct far_entry far[FAR_ENTRIES]; /* keys too far ahead for the array */
    uint32_t far_count;

    PW_ARRAY(struct object) objects; /* [0] is the empty tuple */
    PW_ARRAY(struct pw_value) items; /* of tuples and frozensets; runs of unfold.c */
    PW_ARRAY(struct hashed) hashes;  /* ascending by object */
    PW_ARRAY(struct walk_step) walk;
    PW_ARRAY(struct pw_value) roots; /* to be walked at the end (unfold.c) */
    PW_ARRAY(struct pw_span) texts;
    PW_ARRAY(struct pw_import) imports;
    PW_ARRAY(struct pw_used) used;
    struct chunk *chunks;

    uint64_t *sketch;     /* how often hashes were met (cost.c); NULL until one is */
    uint32_t sketch_scan; /* whose entries count */
    uint32_t sketch_fed;  /* hashes met in this scan */
    uint64_t work;        /* steps of hashing and calls */
    uint64_t heap;        /* bytes that the objects take at the consumer's */

    struct {
        struct pw_value *room;
        struct pw_value *fence;
        struct pw_value *plain;
        struct pw_value *memo; /* behind the newest entry, as long as the keys are dense */
        struct pw_value *memo_room;
    } fast; /* fast.c: the same as above, as pointers; stale outside of it */

    uint64_t frame_end; /* end of the FRAME in force; UINT64_MAX outside */
    uint32_t ops;
    uint32_t max_depth;
    uint32_t buffers;
    uint8_t proto; /* in force: the latest PROTO */
    uint8_t proto_high;

    struct pw_find finds[PW_DOOR_COUNT * PW_REPORT_FINDS];
    size_t find_count;
    size_t kept[PW_DOOR_COUNT];
    size_t unkept[PW_DOOR_COUNT];
};

/* Make room for one more in an array; false, with err latched, when out of memory. */
bool pw_machine_grow(struct pw_scan *m, void *array, size_t item_size);

#define PW_ARRAY_ROOM(m, array)                                                            \
    ((array)->len < (array)->cap || pw_machine_grow(m, array, sizeof *(array)->at))

/* Forget the last frame, keep the memory (what is left of it after a giant). */
void pw_machine_reset(struct pw_scan *m, struct pw_span frame,
                      const struct pw_limits *limits);

/* Release everything. */
void pw_machine_clear(struct pw_scan *m);

/* Memory for decoded text, good until the next reset; NULL, with err latched. */
uint8_t *pw_machine_text(struct pw_scan *m, size_t len);

/* Record a finding at `op` (NULL: at the end of the frame), with names or without. */
void pw_machine_find(struct pw_scan *m, enum pw_reason reason, const struct pw_op *op);
void pw_machine_find_name(struct pw_scan *m, enum pw_reason reason, const struct pw_op *op,
                          struct pw_span mod, struct pw_span name);

/* Record why the scan ends here; false, for `return pw_machine_stop(…)`. */
static inline bool
pw_machine_stop(struct pw_scan *m, enum pw_reason reason, const struct pw_op *op)
{
    pw_machine_find(m, reason, op);
    return false;
}

/* The text of a constant string value; see pw_report_text. */
bool pw_machine_value_text(const struct pw_scan *m, struct pw_value value,
                           struct pw_span *text);

/* What is known of an instance's hash; NULL for all that hash by identity, or otherwise. */
const struct hashed *pw_machine_hashed(const struct pw_scan *m, struct pw_value value);

/* One opcode; false when the scan ends here, with its finding or with err latched. */
bool pw_machine_step(struct pw_scan *m, const struct pw_op *op);

/*
 * Run the opcodes from `at` on that need no thought, and return where the first other one
 * is. All it does, pw_machine_step would do as well.
 */
size_t pw_machine_fast(struct pw_scan *m, size_t at);

/* find_class(mod, name) happens at `op`; its value goes to *out. False: err is latched. */
bool pw_machine_import(struct pw_scan *m, const struct pw_op *op, struct pw_span mod,
                       struct pw_span name, struct pw_value *out);

/* One more in `items`; false: err is latched. */
static inline bool
pw_machine_keep(struct pw_scan *m, struct pw_value value)
{
    if (!PW_ARRAY_ROOM(m, &m->items)) {
        return false;
    }
    m->items.at[m->items.len++] = value;
    return true;
}

static inline struct pw_value
pw_value_of(enum pw_value_kind kind, size_t ref)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* One store; compilers make four of the initialiser below. */
    uint64_t whole = (uint64_t)kind | (uint64_t)ref << 32;
    struct pw_value value;
    memcpy(&value, &whole, sizeof value);
    return value;
#else
    return (struct pw_value){.kind = (uint8_t)kind, .ref = (uint32_t)ref};
#endif
}

/* Whether `value` is of a kind, and not decoded. */
static inline bool
pw_value_is(struct pw_value value, enum pw_value_kind kind)
{
    /* One comparison; compilers make two of the members'. */
    struct pw_value other = {.kind = (uint8_t)kind};
    uint16_t head[2];
    memcpy(&head[0], &value, sizeof head[0]);
    memcpy(&head[1], &other, sizeof head[1]);
    return head[0] == head[1];
}

/* How many values the stack may take before it must grow or the limit be looked at. */
static inline void
pw_machine_set_room(struct pw_scan *m)
{
    m->stack_room = m->stack.cap < m->limits.max_stack ? m->stack.cap : m->limits.max_stack;
}

#endif
