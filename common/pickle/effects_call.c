/* SPDX-License-Identifier: Apache-2.0
 *
 * Globals, and what calls one.
 */
#include "common/pickle/effects.h"

#include "common/base/utf8.h"
#include "common/pickle/cost.h"
#include "common/pickle/hash.h"
#include "common/pickle/unfold.h"

/* No module or name is longer; what is, is told as far. */
enum { NAME_MAX_BYTES = 1024 };

/* ---- globals -------------------------------------------------------------------------
 */

static bool
is_name(struct pw_span text, bool ascii)
{
    if (text.len > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || (ascii && text.ptr[i] > 0x7f)) {
            return false;
        }
    }
    return text.len > 0 && pw_utf8_valid(text);
}

bool
pw_machine_import(struct pw_scan *m, const struct pw_op *op, struct pw_span mod,
                  struct pw_span name, struct pw_value *out)
{
    if (!PW_ARRAY_ROOM(m, &m->imports)) {
        return false;
    }
    bool ascii = op->code == PW_OP_INST; /* the one opcode that takes no other names */
    bool good = is_name(mod, ascii) && is_name(name, ascii);
    mod.len = mod.len < NAME_MAX_BYTES ? mod.len : NAME_MAX_BYTES;
    name.len = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    *out = pw_value_of(PW_V_GLOBAL, m->imports.len);
    m->imports.at[m->imports.len++] = (struct pw_import){.mod = mod,
                                                         .name = name,
                                                         .off = (uint32_t)op->off,
                                                         .op = op->code,
                                                         .proto = m->proto};
    if (!good) {
        pw_machine_find_name(m, PW_R_IMPORT_NAME, op, mod, name);
    }
    return true;
}

bool
pw_step_import(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value global;
    return pw_machine_import(m, op, op->line, op->line2, &global) && pw_push(m, op, global);
}

/*
 * Both names must be constant strings. One that Python 2 wrote (STRING and its kin) is text
 * only for some encodings of the consumer: such an import is told, and refused.
 */
bool
pw_step_import_stack(struct pw_scan *m, const struct pw_op *op)
{
    if (pw_height(m) < 2) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value name = *pw_top(m, 0);
    struct pw_value mod = *pw_top(m, 1);
    pw_cut(m, m->stack.len - 2);
    struct pw_value global = {0};
    struct pw_span mod_text;
    struct pw_span name_text;
    bool texts = mod.kind != PW_V_BYTES && name.kind != PW_V_BYTES &&
                 pw_machine_value_text(m, mod, &mod_text) &&
                 pw_machine_value_text(m, name, &name_text);
    if (!texts || mod.kind != PW_V_STR || name.kind != PW_V_STR) {
        pw_machine_find(m, PW_R_IMPORT_UNRESOLVED, op);
    }
    if (texts && !pw_machine_import(m, op, mod_text, name_text, &global)) {
        return false;
    }
    return pw_push(m, op, global);
}

/* ---- calls ---------------------------------------------------------------------------
 */

/*
 * The class of what a call makes. copyreg._reconstructor(cls, base, state) makes a cls (PEP
 * 307, protocols 0 and 1), so what is then built is an instance of cls, not of the
 * function.
 */
static uint32_t
origin_of(const struct pw_scan *m, uint32_t callee, struct pw_value args)
{
    const struct pw_import *import = &m->imports.at[callee];
    if (!pw_span_equal(import->name, pw_span_str("_reconstructor")) ||
        (!pw_span_equal(import->mod, pw_span_str("copyreg")) &&
         !pw_span_equal(import->mod, pw_span_str("copy_reg")))) {
        return callee;
    }
    const struct object *tuple = args.kind == PW_V_TUPLE ? &m->objects.at[args.ref] : NULL;
    if (tuple == NULL || (tuple->flags & OBJECT_KEPT) == 0 || tuple->count == 0) {
        return callee;
    }
    struct pw_value cls = m->items.at[tuple->link];
    return cls.kind == PW_V_GLOBAL ? cls.ref : callee;
}

/* Globals inside tuples inside the arguments stand as values; those right in the argument
 * tuple are the policy's to judge, since a rule may name them. */
static bool
settle_nested(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
              struct pw_value args)
{
    if (callee.kind != PW_V_GLOBAL || args.kind != PW_V_TUPLE) {
        return pw_settle(m, op, args);
    }
    const struct object *tuple = &m->objects.at[args.ref];
    uint32_t link = tuple->link;
    uint32_t count = (tuple->flags & OBJECT_KEPT) != 0 ? tuple->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pw_value item = m->items.at[link + i];
        if (item.kind == PW_V_TUPLE && !pw_settle(m, op, item)) {
            return false;
        }
    }
    return true;
}

/* Types of Python's own whose instances are no mappings, whatever they are made of. */
static bool
makes_no_mapping(const struct pw_import *import)
{
    static const char *const types[][2] = {{"builtins", "set"},
                                           {"__builtin__", "set"},
                                           {"builtins", "frozenset"},
                                           {"__builtin__", "frozenset"},
                                           {"collections", "deque"}};
    for (size_t i = 0; i < PW_COUNT(types); i++) {
        if (pw_span_equal(import->mod, pw_span_str(types[i][0])) &&
            pw_span_equal(import->name, pw_span_str(types[i][1]))) {
            return true;
        }
    }
    return false;
}

/* Whether a call may make a mapping of keys that are not known: of a list or a dict. */
static bool
takes_mapping(const struct pw_scan *m, struct pw_value callee, struct pw_value args)
{
    struct object tuple =
        args.kind == PW_V_TUPLE ? m->objects.at[args.ref] : (struct object){0};
    if (callee.kind == PW_V_GLOBAL && makes_no_mapping(&m->imports.at[callee.ref])) {
        return false;
    }
    for (uint32_t i = 0; i < tuple.count; i++) {
        struct pw_value item = m->items.at[tuple.link + i];
        if (item.kind == PW_V_LIST || item.kind == PW_V_DICT ||
            (item.kind == PW_V_INSTANCE &&
             (m->objects.at[item.ref].flags & OBJECT_SPECIAL) != 0)) {
            return true;
        }
    }
    return args.kind != PW_V_TUPLE;
}

/* Why a value may not be called; NONE for a global, which a policy judges. */
static enum pw_reason
call_reason(struct pw_value callee)
{
    switch (callee.kind) {
    case PW_V_GLOBAL:
        return PW_R_NONE;
    case PW_V_INSTANCE:
        return PW_R_CALL_COMPUTED;
    default: /* an extension code may stand for a class, if the registry may be asked */
        return callee.kind == PW_V_UNKNOWN && callee.ref == PW_DOOR_EXTENSION
                   ? PW_R_EXT_DENIED
                   : PW_R_CALL_TARGET;
    }
}

/* A number that hashes by its value is remembered with its hash: it may become a key. */
static bool
keep_hash(struct pw_scan *m, const struct pw_import *import, struct pw_value args,
          uint32_t object)
{
    struct hashed hashed = {.object = object};
    if (!pw_hash_call(m, import, args, &hashed.hash)) {
        return true;
    }
    if (!PW_ARRAY_ROOM(m, &m->hashes)) {
        return false;
    }
    m->hashes.at[m->hashes.len++] = hashed;
    return true;
}

/* callee(*args), or callee.__new__(callee, *args): push the instance, which holds `sum`. */
static bool
call(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
     struct pw_value args, struct nested sum, enum pw_use how)
{
    if (!settle_nested(m, op, callee, args)) {
        return false;
    }
    if (callee.kind == PW_V_GLOBAL && !pw_note_use(m, op, callee.ref, how, args)) {
        return false;
    }
    enum pw_reason reason = call_reason(callee);
    if (reason != PW_R_NONE) {
        pw_machine_find(m, reason, op);
    }
    if (args.kind == PW_V_TUPLE && (m->objects.at[args.ref].flags & OBJECT_PLANTS) != 0) {
        pw_machine_find(m, PW_R_STATE_SPECIAL, op);
    }
    struct pw_value made;
    if (!pw_cost_call(m, op, args) || !pw_new_object(m, op, PW_V_INSTANCE, sum, &made)) {
        return false;
    }
    struct object *object = &m->objects.at[made.ref];
    object->link = reason == PW_R_CALL_TARGET ? PW_R_TARGET_UNKNOWN : reason;
    if (callee.kind == PW_V_GLOBAL) {
        object->link = origin_of(m, callee.ref, args);
        object->flags = OBJECT_ORIGIN;
    }
    object->flags |= takes_mapping(m, callee, args) ? OBJECT_SPECIAL : 0;
    if (callee.kind == PW_V_GLOBAL &&
        !keep_hash(m, &m->imports.at[callee.ref], args, made.ref)) {
        return false;
    }
    return pw_push(m, op, made);
}

static bool
check_kind(struct pw_scan *m, const struct pw_op *op, struct pw_value value,
           enum pw_value_kind kind)
{
    if (value.kind == kind) {
        return true;
    }
    pw_machine_find(m, PW_R_PICKLE_TYPE, op);
    return false;
}

/* REDUCE, NEWOBJ: callable and arguments; NEWOBJ_EX: and keywords. */
bool
pw_step_call(struct pw_scan *m, const struct pw_op *op)
{
    bool keyworded = op->code == PW_OP_NEWOBJ_EX;
    uint32_t pops = keyworded ? 3 : 2;
    if (pw_height(m) < pops) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    struct pw_value callee = *pw_top(m, pops - 1);
    struct pw_value args = *pw_top(m, pops - 2);
    struct pw_value keywords = keyworded ? *pw_top(m, 0) : (struct pw_value){0};
    struct nested sum = {0};
    pw_cost_add(m, args, &sum);
    pw_cost_add(m, keywords, &sum);
    pw_cut(m, m->stack.len - pops);
    bool described = check_kind(m, op, args, PW_V_TUPLE) && !keyworded;
    if (keyworded) {
        (void)check_kind(m, op, keywords, PW_V_DICT);
    }
    if (!described && !pw_settle(m, op, args)) {
        return false;
    }
    /* No shape describes keywords, or arguments that are no tuple. */
    struct pw_value known = described ? args : (struct pw_value){0};
    return call(m, op, callee, known, sum,
                op->code == PW_OP_REDUCE ? PW_USE_CALL : PW_USE_NEW) &&
           pw_unfold_note_one(m, *pw_top(m, 0), args) &&
           pw_unfold_note_one(m, *pw_top(m, 0), keywords);
}

/* The values from `first` on become the arguments of `callee`; the stack is cut at `base`.
 */
static bool
instantiate(struct pw_scan *m, const struct pw_op *op, struct pw_value callee,
            uint32_t first, uint32_t base)
{
    struct pw_value args;
    if (!pw_make_tuple(m, op, first, &args)) {
        return false;
    }
    struct nested sum = {0};
    pw_cost_add(m, args, &sum);
    pw_cut(m, base);
    return call(m, op, callee, args, sum, PW_USE_CALL) &&
           pw_unfold_note_one(m, *pw_top(m, 0), args);
}

/* Lib/pickle.py imports before it looks for the mark, Modules/_pickle.c after. */
bool
pw_step_inst(struct pw_scan *m, const struct pw_op *op)
{
    struct pw_value callee;
    if (!pw_machine_import(m, op, op->line, op->line2, &callee)) {
        return false;
    }
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    uint32_t first = pw_pop_mark(m);
    return instantiate(m, op, callee, first, first);
}

bool
pw_step_obj(struct pw_scan *m, const struct pw_op *op)
{
    if (m->marks.len == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_NO_MARK, op);
    }
    if (pw_height(m) == 0) {
        return pw_machine_stop(m, PW_R_PICKLE_UNDERFLOW, op);
    }
    uint32_t first = pw_pop_mark(m);
    return instantiate(m, op, m->stack.at[first], first + 1, first);
}
