/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams and what they would do. Each row: the bytes, the kind, the imports as
 * "module:name", the uses as "use(import index)", and the findings as codes.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pickle/scan.h"
#include "tests/unit/fail_alloc.h"

struct scan_case {
    const char *name;
    struct pw_span bytes;
    enum pw_kind kind;
    const char *imports;
    const char *uses;
    const char *finds;
};

#define OK PW_KIND_PICKLE
#define BAD PW_KIND_BROKEN
#define P4 "\x80\x04"
#define POSIX "\x8c\x05posix"
#define SYSTEM "\x8c\x06system"
#define ID "\x8c\x02id"
#define INTERFACE "\x8c\x13__array_interface__"

/* clang-format off */
static const struct scan_case scan_cases[] = {
    /* nothing, and no pickle */
    {"no bytes", BYTES(""), PW_KIND_EMPTY, "", "", ""},
    {"no opcode", BYTES("\xffhello"), PW_KIND_OPAQUE, "", "", "pickle.opaque"},
    {"JSON", BYTES("{\"a\":1}"), PW_KIND_OPAQUE, "", "", "pickle.opaque"},
    {"only a STOP", BYTES("."), BAD, "", "", "pickle.underflow"},
    {"None", BYTES("N."), OK, "", "", ""},
    {"no STOP", BYTES("N"), BAD, "", "", "pickle.no_stop"},
    {"no opcode later", BYTES("N\xff."), BAD, "", "", "pickle.opcode"},
    {"bytes behind STOP", BYTES("N.xyz"), OK, "", "", "pickle.trailing"},
    {"protocol 6", BYTES("\x80\x06N."), BAD, "", "", "pickle.proto"},

    /* the ways to a global */
    {"GLOBAL", BYTES("cos\nsystem\n."), OK, "os:system", "ref(0)", ""},
    {"GLOBAL and REDUCE", BYTES("cos\nsystem\n(S'id'\ntR."), OK, "os:system", "call(0)", ""},
    {"the same without STOP still runs", BYTES("cos\nsystem\n(S'id'\ntR"), BAD, "os:system", "call(0)", "pickle.no_stop"},
    {"STACK_GLOBAL and REDUCE", BYTES(P4 POSIX "\x94" SYSTEM "\x94\x93\x94" ID "\x94\x85\x94R\x94."), OK, "posix:system", "call(0)", ""},
    {"INST", BYTES("(S'id'\nios\nsystem\n."), OK, "os:system", "call(0)", ""},
    {"OBJ", BYTES("(cos\nsystem\nS'id'\no."), OK, "os:system", "call(0)", ""},
    {"NEWOBJ", BYTES("\x80\x02" "cm\nC\n)\x81."), OK, "m:C", "new(0)", ""},
    {"NEWOBJ_EX", BYTES(P4 "cm\nC\n)}\x92."), OK, "m:C", "new(0)", ""},
    {"BUILD gadget without REDUCE", BYTES("\x80\x02" "ctypes\nSimpleNamespace\n)\x81}X\x0c\0\0\0__setstate__cos\nsystem\nsbX\x02\0\0\0idb."), OK,
        "types:SimpleNamespace os:system", "new(0) ref(1) build(0) build(0)", "state.special target.built"},
    {"items behind a state", BYTES("cm\nC\n)\x81}bNa."), OK, "m:C", "new(0) build(0) items(0)", "target.built"},
    {"a state behind items", BYTES("cm\nC\n)\x81Na}b."), OK, "m:C", "new(0) items(0) build(0)", ""},
    {"keys, then a state", BYTES("cm\nC\n)\x81NNs}b."), OK, "m:C", "new(0) items(0) build(0)", ""},
    {"items, then keys", BYTES("cm\nC\n)\x81NaNNs."), OK, "m:C", "new(0) items(0) items(0)", ""},
    {"keys, then items: one may be the append", BYTES("cm\nC\n)\x81\x8c\x06" "extendcn\nf\nsNa."), OK, "m:C n:f", "new(0) items(0) ref(1) items(0)", "target.built"},
    {"keys, then items of a set", BYTES("cm\nC\n)\x81\x8c\3addcn\nf\ns(N\x90."), OK, "m:C n:f", "new(0) items(0) ref(1) items(0)", "target.built"},
    {"items of what is made of a dict", BYTES("cm\nC\n}\x85RNa."), OK, "m:C", "call(0) items(0)", "target.built"},
    {"items of a deque that is made of a list", BYTES("ccollections\ndeque\n]\x85RNa."), OK, "collections:deque", "call(0) items(0)", ""},
    {"a key that is the __setstate__", BYTES("cm\nC\n)\x81\x8c\x0c__setstate__cn\nf\nsK\1b."), OK, "m:C n:f", "new(0) items(0) ref(1) build(0)", "state.special"},
    {"a key that may be the __setstate__", BYTES("cm\nC\n)\x81" "cn\nscalar\n)RNsK\1b."), OK, "m:C n:scalar", "new(0) call(1) items(0) build(0)", "target.built"},
    {"__class__ by slots", BYTES("cm\nC\n)\x81N}\x8c\x09__class__cn\nD\ns\x86" "b."), OK, "m:C n:D", "new(0) ref(1) build(0)", "state.special"},
    {"__class__ by slots, with SETITEMS", BYTES("cm\nC\n)\x81N}(X\x09\0\0\0__class__cn\nD\nu\x86" "b."), OK, "m:C n:D", "new(0) ref(1) build(0)", "state.special"},
    {"__class__ by slots, with DICT", BYTES("cm\nC\n)\x81N(V__class__\nNd\x86" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__class__ by slots, a constant", BYTES("cm\nC\n)\x81N}\x8c\x09__class__K\1s\x86" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"slots of an unseen name", BYTES("cm\nC\n)\x81N}cn\nname\nNs\x86" "b."), OK, "m:C n:name", "new(0) ref(1) build(0)", "state.special"},
    {"slots that are made of a dict", BYTES("cm\nC\n)\x81Ncm\nD\n}\x85R\x86" "b."), OK, "m:C m:D", "new(0) call(1) build(0)", "state.special"},
    {"slots that are filled as an object", BYTES("cm\nC\n)\x81Ncm\nD\n)R\x8c\x09__class__Ns\x86" "b."), OK, "m:C m:D", "new(0) call(1) items(1) build(0)", "state.special state.special"},
    {"a pair of objects", BYTES("cm\nC\n)\x81Ncm\nC\n)\x81\x86" "b."), OK, "m:C m:C", "new(0) new(1) build(0)", ""},
    {"slots that come later", BYTES("cm\nC\n)\x81N}\x94\x86h\0\x8c\1aNs0b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"honest slots", BYTES("cm\nC\n)\x81N}(\x8c\1aK\1\x8c\2_bK\2u\x86" "b."), OK, "m:C", "new(0) build(0)", ""},
    {"a dict with __class__ as a state", BYTES("cm\nC\n)\x81}\x8c\x09__class__Nsb."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"a dict with __context__ as a state", BYTES("cm\nC\n)R\x94}\x8c\x0b__context__h\0sb."), OK, "m:C", "call(0) build(0)", "state.special"},
    {"a dict with __dict__ as a state", BYTES("cm\nC\n)\x81}\x8c\x08__dict__}sb."), OK, "m:C", "new(0) build(0)", ""},
    {"a dict with __array_interface__ as a state", BYTES("cm\nC\n)\x81}" INTERFACE "}sb."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_struct__, with SETITEMS", BYTES("cm\nC\n)\x81}(X\x10\0\0\0__array_struct__Nub."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array__, with DICT and escapes", BYTES("cm\nC\n)\x81(V\\u005f_array__\nNdb."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array__ as a string of Python 2", BYTES("cm\nC\n)\x81}S'__array__'\nNsb."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_interface__ that comes behind the state", BYTES("cm\nC\n)\x81}\x94" "bh\0" INTERFACE "}s0."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_interface__ in the first half of a pair", BYTES("cm\nC\n)\x81}" INTERFACE "}sN\x86" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_interface__ in a tuple of three", BYTES("cm\nC\n)\x81NN}" INTERFACE "}s\x87" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_interface__ by slots", BYTES("cm\nC\n)\x81N}" INTERFACE "}s\x86" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"__array_interface__ among the items of an instance", BYTES("cm\nC\n)\x81" INTERFACE "}s."), OK, "m:C", "new(0) items(0)", "state.special"},
    {"__array_interface__ in an argument", BYTES("cm\nC\n}" INTERFACE "}s\x85R."), OK, "m:C", "call(0)", "state.special"},
    {"__array_interface__ in a tuple in an argument", BYTES("cm\nC\nK\1}" INTERFACE "}s\x86\x85R."), OK, "m:C", "call(0)", "state.special"},
    {"__array_interface__ among seventeen arguments", BYTES("cm\nC\n(NNNNNNNNNNNNNNNN}" INTERFACE "}stR."), OK, "m:C", "call(0)", "state.special"},
    {"__array_interface__ that comes into an argument late", BYTES("cm\nC\n}\x94\x85h\0" INTERFACE "}s0R."), OK, "m:C", "call(0)", "state.special"},
    {"__array_interface__ in a tuple in a state", BYTES("cm\nC\n)\x81}" INTERFACE "}s\x85\x85" "b."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"a str of numpy as a name in a state of four", BYTES("cm\nC\n)\x81(NNN}cn\nscalar\n)RNstb."), OK, "m:C n:scalar", "new(0) call(1) build(0)", ""},
    {"__array_interface__ in data", BYTES("}" INTERFACE "}s."), OK, "", "", ""},
    {"a str of numpy as a name", BYTES("cm\nC\n)\x81}cn\nscalar\n)RNsb."), OK, "m:C n:scalar", "new(0) call(1) build(0)", "state.special"},
    {"a str of numpy as a name that comes late", BYTES("cm\nC\n)\x81}\x94" "bh\0cn\nscalar\n)RNs0."), OK, "m:C n:scalar", "new(0) build(0) call(1)", "state.special"},
    {"a str of numpy as a key of an instance", BYTES("cm\nC\n)\x81" "cn\nscalar\n)RNs."), OK, "m:C n:scalar", "new(0) call(1) items(0)", ""},
    {"an instance as a key of a state", BYTES("cm\nC\n)\x81}cn\nD\n)RNsb."), OK, "m:C n:D", "new(0) call(1) build(0)", ""},
    {"a persistent id as a key of a state", BYTES("cm\nC\n)\x81}P1\nNsb."), OK, "m:C", "new(0) build(0)", "persistent_id.denied state.special"},
    {"an instance as a state", BYTES("cm\nC\n)\x81" "cn\nD\n)Rb."), OK, "m:C n:D", "new(0) call(1) build(0)", ""},
    {"a set of an old protocol as a state", BYTES("cm\nC\n)\x81" "c__builtin__\nset\n]\x85Rb."), OK, "m:C __builtin__:set", "new(0) call(1) build(0)", ""},
    {"a method of a zone that datetime calls", BYTES("cdateutil.tz.tz\ntzoffset\n)\x81}\x8c\x09utcoffsetcn\nf\nsb."), OK, "dateutil.tz.tz:tzoffset n:f", "new(0) ref(1) build(0)", "state.special"},
    {"the same in the second of a pair", BYTES("cdateutil.tz.tz\ntzoffset\n)\x81N}(\x8c\1aNX\x09\0\0\0utcoffsetcn\nf\nu\x86" "b."), OK, "dateutil.tz.tz:tzoffset n:f", "new(0) ref(1) build(0)", "state.special"},
    {"the same with DICT and an old class", BYTES("ccopy_reg\n_reconstructor\n(cUserList\nUserList\nc__builtin__\nobject\nNtR(Vcopy\ncn\nf\ndb."), OK, "copy_reg:_reconstructor UserList:UserList __builtin__:object n:f", "call(0) ref(3) build(1)", "state.special"},
    {"a function among attributes", BYTES("cm\nC\n)\x81}\x8c\x09utcoffsetcn\nf\nsb."), OK, "m:C n:f", "new(0) ref(1) build(0)", ""},
    {"a function as a key", BYTES("cuuid\nUUID\n)\x81}cn\nf\nNsb."), OK, "uuid:UUID n:f", "new(0) ref(1) build(0)", ""},
    {"a function deeper down", BYTES("cUserDict\nUserDict\n)\x81}\x8c\1a]cn\nf\nasb."), OK, "UserDict:UserDict n:f", "new(0) ref(1) build(0)", ""},
    {"a UUID with a list", BYTES("cuuid\nUUID\n)\x81}(\x8c\3intK\1\x8c\7is_safe]ub."), OK, "uuid:UUID", "new(0) build(0)", "state.special"},
    {"a UUID with an instance", BYTES("cuuid\nUUID\n)\x81}(\x8c\3intK\1\x8c\7is_safecm\nC\n)\x81ub."), OK, "uuid:UUID m:C", "new(0) new(1) build(0)", "state.special"},
    {"a UUID of Python 3.6", BYTES("cuuid\nUUID\n)\x81}(\x8c\3intK\1\x8c\7is_safecuuid\nSafeUUID\nK\1\x85Rub."), OK, "uuid:UUID uuid:SafeUUID", "new(0) call(1) build(0)", ""},
    {"what poses as a series", BYTES("cm\nC\n)\x81}(\x8c\x04_typ\x8c\6series\x8c\4copycn\nf\nub."), OK, "m:C n:f", "new(0) ref(1) build(0)", "state.special"},
    {"what poses as a series bit by bit", BYTES("cm\nC\n)\x81}\x8c\4copycn\nf\ns\x8c\x04_typ\x8c\6seriessb."), OK, "m:C n:f", "new(0) ref(1) build(0)", "state.special"},
    {"what poses as a series by its items", BYTES("cm\nC\n)\x81\x8c\4copycn\nf\ns\x8c\x04_typ\x8c\6seriess."), OK, "m:C n:f", "new(0) items(0) ref(1) items(0)", "state.special"},
    {"a series", BYTES("cm\nC\n)\x81}(\x8c\x04_typ\x8c\6series\x8c\4copyNub."), OK, "m:C", "new(0) build(0)", ""},
    {"a table of a zone", BYTES("cm\nC\n)\x81}\x8c\x15_utc_transition_times]sb."), OK, "m:C", "new(0) build(0)", "state.special"},
    {"the args of an exception", BYTES("cbuiltins\nKeyError\n)R}\x8c\4argscn\nr\n)Rsb."), OK, "builtins:KeyError n:r", "call(0) call(1) build(0)", "state.special"},
    {"the same with a longer opcode", BYTES("cexceptions\nKeyError\n)R}X\4\0\0\0argscn\nr\n)Rsb."), OK, "exceptions:KeyError n:r", "call(0) call(1) build(0)", "state.special"},
    {"args of something else", BYTES("cm\nC\n)\x81}\x8c\4argsNsb."), OK, "m:C", "new(0) build(0)", ""},
    {"an exception with attributes", BYTES("cbuiltins\nKeyError\n)R}(\x8c\4argzN\x8c\5argsxNub."), OK, "builtins:KeyError", "call(0) build(0)", ""},
    {"a state of what a key may hold already", BYTES("cuuid\nUUID\n)\x81\x94\x85" "0h\0}\x8c\3intK\1sb."), OK, "uuid:UUID", "new(0) build(0)", "limit.work"},
    {"an instance made of a dict as a state", BYTES("cm\nC\n)\x81" "cn\nD\n}\x85Rb."), OK, "m:C n:D", "new(0) call(1) build(0)", "state.special"},
    {"dotted name", BYTES(P4 "\x8c\x09posixpath\x8c\x09os.system\x93."), OK, "posixpath:os.system", "ref(0)", ""},
    {"names by way of the memo", BYTES(P4 POSIX "\x94" SYSTEM "\x94" "00h\0h\x01\x93."), OK, "posix:system", "ref(0)", ""},
    {"names by DUP and POP", BYTES(P4 "\x8c\x02os2" SYSTEM "0" SYSTEM "\x93."), OK, "os:system", "ref(0)", ""},
    {"UNICODE operands with escapes", BYTES("V\\u006fs\nVsystem\n\x93."), OK, "os:system", "ref(0)", ""},
    {"LONG_BINPUT and LONG_BINGET", BYTES("X\x02\0\0\0osr\0\0\0\0X\x06\0\0\0systemr\x01\0\0\0" "00j\0\0\0\0j\x01\0\0\0\x93."), OK, "os:system", "ref(0)", ""},
    {"module with NUL", BYTES(P4 "\x8c\x04os\0x" SYSTEM "\x93."), OK, "os?x:system", "ref(0)", "import.name"},
    {"empty module", BYTES("c\nsystem\n."), OK, ":system", "ref(0)", "import.name"},
    {"blank in a name", BYTES("cos \nsystem\n."), OK, "os :system", "ref(0)", "import.name"},
    {"name that is no UTF-8", BYTES("cos\ns\xffm\n."), OK, "os:s?m", "ref(0)", "import.name"},
    {"GLOBAL cut in its name: less its last byte", BYTES("cos\nsystems"), BAD, "os:system", "", "pickle.truncated"},
    {"GLOBAL cut in its module", BYTES("coss"), BAD, "os:", "", "import.name pickle.truncated"},
    {"INST cut", BYTES("(ios\nsystems"), BAD, "os:system", "", "pickle.truncated"},
    {"INST without a mark imports all the same", BYTES("ios\nsystem\n."), BAD, "os:system", "", "pickle.no_mark"},
    {"protocol below 3 is remembered", BYTES("\x80\x02" "c__builtin__\neval\n."), OK, "__builtin__:eval", "ref(0)", ""},

    /* names the machine cannot know */
    {"name from a call", BYTES(P4 "\x8c\x02os" "cm\nf\n)R\x93."), OK, "m:f", "call(0)", "import.unresolved"},
    {"name from a global", BYTES(P4 "\x8c\x02os" "cstring\ndigits\n\x93."), OK, "string:digits", "", "import.unresolved"},
    {"name from Python 2 text is told and refused", BYTES("U\x02osU\x06system\x93."), OK, "os:system", "ref(0)", "import.unresolved"},
    {"name from bytes", BYTES("C\x02osC\x06system\x93."), OK, "", "", "import.unresolved"},
    {"name from a buffer", BYTES("\x97" SYSTEM "\x93."), OK, "", "", "buffer.denied import.unresolved"},
    {"STACK_GLOBAL of one value", BYTES("N\x93."), BAD, "", "", "pickle.underflow"},

    /* calls */
    {"a result is called", BYTES("cm\nf\n)R)R."), OK, "m:f", "call(0)", "call.computed"},
    {"a string is called", BYTES("\x8c\x01x)R."), OK, "", "", "call.target"},
    {"a class from the memo", BYTES("cm\nC\nq\0)\x81h\0)\x81\x86."), OK, "m:C", "new(0) new(0)", ""},
    {"arguments that are no tuple", BYTES("cm\nf\n]R."), OK, "m:f", "call(0)", "pickle.type"},
    {"keywords that are no dict", BYTES(P4 "cm\nC\n))\x92."), OK, "m:C", "new(0)", "pickle.type"},
    {"REDUCE of one value", BYTES(")R."), BAD, "", "", "pickle.underflow"},
    {"OBJ without class", BYTES("(o."), BAD, "", "", "pickle.underflow"},
    {"OBJ without mark", BYTES("No."), BAD, "", "", "pickle.no_mark"},

    /* what stands as a value */
    {"a global in a list", BYTES("]cm\nC\na."), OK, "m:C", "ref(0)", ""},
    {"a global in a dict", BYTES("}Ncm\nC\ns."), OK, "m:C", "ref(0)", ""},
    {"a global in a tuple in a list, once", BYTES("]cm\nC\n\x85q\0ah\0a."), OK, "m:C", "ref(0)", ""},
    {"a global right in the arguments is the policy's", BYTES("cm\nf\ncm\nC\n\x85R."), OK, "m:f m:C", "call(0)", ""},
    {"a global in a tuple in the arguments", BYTES("cm\nf\ncm\nC\n\x85\x85R."), OK, "m:f m:C", "ref(1) call(0)", ""},
    {"a global in a state", BYTES("cm\nC\n)\x81}Ncm\nD\nsb."), OK, "m:C m:D", "new(0) ref(1) build(0)", ""},
    {"a global that is popped", BYTES("cm\nC\n0N."), OK, "m:C", "", ""},
    {"a global among seventeen items", BYTES("(NNNNNNNNNNNNNNNNcm\nC\nt."), OK, "m:C", "ref(0)", ""},

    /* changing things */
    {"items of an instance", BYTES("cm\nC\n)\x81(Ne."), OK, "m:C", "new(0) items(0)", ""},
    {"items of a global", BYTES("cm\nC\nNNs."), OK, "m:C", "ref(0)", "target.global"},
    {"a state for a global", BYTES("cm\nC\n}b."), OK, "m:C", "ref(0)", "target.global"},
    {"a state for the result of a computed call", BYTES("cm\nf\n)R)R}b."), OK, "m:f", "call(0)", "call.computed call.computed"},
    {"a state for an instance of an extension code", BYTES(P4 "\x82\x01)\x81}b."), OK, "", "", "extension.denied extension.denied extension.denied"},
    {"a state for what an extension code gave", BYTES(P4 "\x82\x01}b."), OK, "", "", "extension.denied target.unknown"},
    {"a state for what a string returned", BYTES("X\1\0\0\0a)R}b."), OK, "", "", "call.target target.unknown"},
    {"PERSID cut off", BYTES("Pab"), BAD, "", "", "persistent_id.denied pickle.truncated"},
    {"INST with a name that is not ASCII", BYTES("(i\xc3\xa9\nC\n."), OK, "??:C", "call(0)", "import.name"},
    {"items of a persistent object", BYTES("P1\nNNs."), OK, "", "", "persistent_id.denied target.unknown"},
    {"a state for a list", BYTES("]}b."), OK, "", "", "pickle.type"},
    {"items for a number", BYTES("K\x01(e."), OK, "", "", "pickle.type"},
    {"copyreg._reconstructor makes its class", BYTES("ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR}b."), OK,
        "copy_reg:_reconstructor m:C __builtin__:object", "call(0) build(1)", ""},

    /* doors */
    {"EXT1", BYTES("\x82\x01."), OK, "", "", "extension.denied"},
    {"EXT2", BYTES("\x83\x01\x00."), OK, "", "", "extension.denied"},
    {"EXT4", BYTES("\x84\x01\0\0\0."), OK, "", "", "extension.denied"},
    {"BINPERSID", BYTES("NQ."), OK, "", "", "persistent_id.denied"},
    {"BINPERSID of a global", BYTES("cm\nC\nQ."), OK, "m:C", "ref(0)", "persistent_id.denied"},
    {"NEXT_BUFFER READONLY_BUFFER", BYTES("\x80\x05\x97\x98."), OK, "", "", "buffer.denied buffer.denied"},
    {"READONLY_BUFFER of nothing", BYTES("\x98."), BAD, "", "", "buffer.denied pickle.underflow"},

    /* stack and marks */
    {"POP takes a mark", BYTES("(0N."), OK, "", "", ""},
    {"POP of nothing", BYTES("0N."), BAD, "", "", "pickle.underflow"},
    {"POP_MARK", BYTES("N(NN1."), OK, "", "", ""},
    {"POP_MARK without mark", BYTES("N1."), BAD, "", "", "pickle.no_mark"},
    {"TUPLE2 does not cross a mark", BYTES("N(N\x86."), BAD, "", "", "pickle.underflow"},
    {"STOP on a mark", BYTES("N(."), BAD, "", "", "pickle.underflow"},
    {"STOP with leftovers", BYTES("N(NN."), OK, "", "", ""},
    {"DUP of nothing", BYTES("2."), BAD, "", "", "pickle.underflow"},
    {"TUPLE without mark", BYTES("Nt."), BAD, "", "", "pickle.no_mark"},
    {"APPENDS with nothing below the mark", BYTES("(Ne."), BAD, "", "", "pickle.underflow"},
    {"SETITEMS of three", BYTES("}(NNNu."), BAD, "", "", "pickle.odd_items"},
    {"DICT of one", BYTES("(Nd."), BAD, "", "", "pickle.odd_items"},
    {"values and a mark are popped", BYTES("((lp0\n0(g0\n00t."), OK, "", "", ""},
    {"recursive tuple", BYTES("(]\x94(K\x01h\x00t\x94" "1h\x01."), OK, "", "", ""},
    {"empty groups", BYTES("](e."), OK, "", "", ""},
    {"LIST and DICT of marks", BYTES("(N(NNdl."), OK, "", "", ""},
    {"sets", BYTES(P4 "\x8f(K\x01\x90(K\x02\x91\x86."), OK, "", "", ""},

    /* what _reconstructor makes */
    {"_reconstructor makes its first argument", BYTES("ccopy_reg\n_reconstructor\n(cm\nC\ncm\nO\nNtR}b."), OK,
        "copy_reg:_reconstructor m:C m:O", "call(0) build(1)", ""},
    {"_reconstructor of another module", BYTES("cm\n_reconstructor\n(cm\nC\ncm\nO\nNtR}b."), OK,
        "m:_reconstructor m:C m:O", "call(0) build(0)", ""},
    {"_reconstructor of no class", BYTES("ccopyreg\n_reconstructor\n(NNNtR}b."), OK, "copyreg:_reconstructor", "call(0) build(0)", ""},
    {"_reconstructor without arguments", BYTES("ccopyreg\n_reconstructor\n)R}b."), OK, "copyreg:_reconstructor", "call(0) build(0)", ""},
    {"_reconstructor of a list", BYTES("ccopyreg\n_reconstructor\n]R}b."), OK, "copyreg:_reconstructor", "call(0) build(0)", "pickle.type"},
    {"_reconstructor of seventeen", BYTES("ccopyreg\n_reconstructor\n(cm\nC\nNNNNNNNNNNNNNNNNtR}b."), OK,
        "copyreg:_reconstructor m:C", "ref(1) call(0) build(0)", ""},

    /* memo */
    {"a memo from 1 on", BYTES("(lp1\ng1\n\x86."), OK, "", "", ""},
    {"GET of nothing", BYTES("g0\n."), BAD, "", "", "memo.missing"},
    {"BINGET of a hole", BYTES("Nq\x05h\x04."), BAD, "", "", "memo.missing"},
    {"MEMOIZE after a gap", BYTES("Nq\x05N\x94."), OK, "", "", "memo.gap"},
    {"PUT on an empty segment", BYTES("(q\0."), BAD, "", "", "pickle.underflow"},
    {"MEMOIZE on an empty stack", BYTES("\x94N."), BAD, "", "", "pickle.underflow"},
    {"PUT is overwritten", BYTES(POSIX "q\0" "\x8c\x02osq\0" "0h\0" SYSTEM "\x93."), OK, "os:system", "ref(0)", ""},
    {"PUT far ahead is refused and followed", BYTES("\x8c\x02osr\0\0\0\x10" SYSTEM "r\1\0\0\x10" "00j\0\0\0\x10j\1\0\0\x10\x93."), OK,
        "os:system", "ref(0)", "limit.memo limit.memo"},
    {"many PUTs far ahead end the scan", BYTES("Np70000\np80000\np90000\np100000\np110000\np120000\np130000\np140000\np150000\n"
        "p160000\np170000\np180000\np190000\np200000\np210000\np220000\np230000\n."), BAD, "", "",
        "limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo "
        "limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo limit.memo"},
    {"PUT with blanks", BYTES("Np 1\n."), OK, "", "", "pickle.number"},
    {"PUT below zero", BYTES("Np-1\n."), BAD, "", "", "pickle.number pickle.number"},
    {"GET that stops at NUL in C", BYTES("Np1\ng1\0x\n\x86."), OK, "", "", "pickle.number"},

    /* constants */
    {"all numbers", BYTES("(I1\nI01\nL5L\nF1.5\nK\1M\1\0J\1\0\0\0\x8a\x01\x05\x8b\1\0\0\0\5G\0\0\0\0\0\0\0\0t."), OK, "", "", ""},
    {"all texts", BYTES("(S'a'\nVb\nT\1\0\0\0cU\1dX\1\0\0\0e\x8c\1f\x8d\1\0\0\0\0\0\0\0gt."), OK, "", "", ""},
    {"all bytes", BYTES("(B\1\0\0\0aC\1b\x8e\1\0\0\0\0\0\0\0c\x96\1\0\0\0\0\0\0\0dt."), OK, "", "", ""},
    {"all singletons", BYTES("(N\x88\x89)]}\x8ft."), OK, "", "", ""},
    {"hexadecimal INT", BYTES("I0x10\n."), OK, "", "", "pickle.number"},
    {"INT with NUL", BYTES("I1\0junk\n."), OK, "", "", "pickle.number"},
    {"STRING without quotes", BYTES("Sabc\n."), BAD, "", "", "pickle.string"},
    {"UNICODE with a cut escape", BYTES("V\\u12\n."), BAD, "", "", "pickle.unicode"},
    {"BINSTRING below zero", BYTES("T\xff\xff\xff\xff."), BAD, "", "", "pickle.length"},
    {"BINUNICODE past the end", BYTES("X\xff\0\0\0a."), BAD, "", "", "pickle.truncated"},

    /* frames */
    {"a frame", BYTES(P4 "\x95\2\0\0\0\0\0\0\0N."), OK, "", "", ""},
    {"a frame too long", BYTES(P4 "\x95\3\0\0\0\0\0\0\0N."), OK, "", "", "frame.overrun"},
    {"a frame that reaches past STOP", BYTES(P4 "\x95\3\0\0\0\0\0\0\0N.N"), OK, "", "", "frame.past_stop pickle.trailing"},
    {"a frame inside a frame", BYTES(P4 "\x95\x0b\0\0\0\0\0\0\0\x95\0\0\0\0\0\0\0\0N."), OK, "", "", "frame.nested"},
    {"a header as the last of its frame", BYTES(P4 "\x95\x09\0\0\0\0\0\0\0\x95\2\0\0\0\0\0\0\0N."), OK, "", "", ""},
    {"an empty frame", BYTES(P4 "\x95\0\0\0\0\0\0\0\0N."), OK, "", "", ""},
    {"opcodes between frames", BYTES(P4 "\x95\1\0\0\0\0\0\0\0N0\x95\2\0\0\0\0\0\0\0N."), OK, "", "", ""},
    {"a length that no frame holds", BYTES(P4 "\x95\3\0\0\0\0\0\0\0\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), BAD, "", "",
        "frame.straddle pickle.length"},
    {"a length past the end of the last frame", BYTES(P4 "\x95\6\0\0\0\0\0\0\0X\2\0\0\0a"), BAD, "", "", "pickle.truncated"},
    {"a line past the end of its frame", BYTES(P4 "\x95\2\0\0\0\0\0\0\0cmn"), BAD, "m:", "",
        "frame.straddle import.name pickle.truncated"},
    {"PROTO alone", BYTES(P4), BAD, "", "", "pickle.no_stop"},
    {"PROTO cut off", BYTES("\x80"), BAD, "", "", "pickle.truncated"},
    {"PROTO and a FRAME cut off", BYTES(P4 "\x95\2\0"), BAD, "", "", "pickle.truncated"},
    {"an argument across the end of a frame", BYTES(P4 "\x95\3\0\0\0\0\0\0\0X\1\0\0\0a."), OK, "", "", "frame.straddle"},
    {"a length across the end of a frame", BYTES(P4 "\x95\4\0\0\0\0\0\0\0X\3\0\0\3\0\0\0abc."), BAD, "", "", "frame.straddle pickle.truncated"},
    {"a negative length across the end of a frame", BYTES(P4 "\x95\4\0\0\0\0\0\0\0T\3\0\0\xff\0\0\0abc."), BAD, "", "", "frame.straddle pickle.length"},
};
/* clang-format on */

static const char *const use_names[] = {"ref", "call", "new", "build", "items"};

__attribute__((format(printf, 3, 4))) static void
append(char *text, size_t room, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, room - len, format, args);
    va_end(args);
}

static void
append_name(char *text, size_t room, struct pw_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        append(text, room, "%c", c >= ' ' && c < 0x7f ? c : '?');
    }
}

static void
describe(const struct pw_report *report, char imports[512], char uses[512], char finds[512])
{
    imports[0] = uses[0] = finds[0] = '\0';
    for (size_t i = 0; i < report->import_count; i++) {
        append(imports, 512, i > 0 ? " " : "");
        append_name(imports, 512, report->imports[i].mod);
        append(imports, 512, ":");
        append_name(imports, 512, report->imports[i].name);
    }
    for (size_t i = 0; i < report->used_count; i++) {
        append(uses, 512, "%s%s(%u)", i > 0 ? " " : "", use_names[report->used[i].use],
               report->used[i].import);
    }
    for (size_t i = 0; i < report->find_count; i++) {
        append(finds, 512, "%s%s", i > 0 ? " " : "",
               pw_reason_code(report->finds[i].reason));
    }
}

/* Scan an exact copy, so that a sanitizer sees the first byte past the end. */
static void
check_scan(struct pw_scan *scan, const struct scan_case *c)
{
    uint8_t *copy = malloc(c->bytes.len + 1);
    memcpy(copy + 1, c->bytes.ptr, c->bytes.len);
    struct pw_report report;
    struct pw_span frame = {copy + 1, c->bytes.len};
    assert_int_equal(pw_scan_frame(scan, frame, &pw_limits_default, &report), PW_E_OK);
    char imports[512], uses[512], finds[512];
    describe(&report, imports, uses, finds);
    if (report.kind != c->kind || strcmp(imports, c->imports) != 0 ||
        strcmp(uses, c->uses) != 0 || strcmp(finds, c->finds) != 0) {
        fail_msg("%s: kind %d imports [%s] uses [%s] finds [%s]", c->name, report.kind,
                 imports, uses, finds);
    }
    free(copy);
}

static void
every_stream_is_seen_for_what_it_does(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    for (size_t i = 0; i < PW_COUNT(scan_cases); i++) {
        check_scan(scan, &scan_cases[i]);
    }
    pw_scan_free(&scan);
}

static void
a_used_scanner_sees_the_same_as_a_new_one(void **state)
{
    (void)state;
    struct pw_scan *used = pw_scan_new();
    for (size_t i = PW_COUNT(scan_cases); i-- > 0;) {
        check_scan(used, &scan_cases[i]);
        struct pw_scan *fresh = pw_scan_new();
        check_scan(fresh, &scan_cases[i]);
        pw_scan_free(&fresh);
    }
    pw_scan_free(&used);
}

/* Cutting a stream anywhere never adds an import, and loses those behind the cut only. */
static void
a_cut_stream_does_what_stands_before_the_cut(void **state)
{
    (void)state;
    struct pw_span whole = BYTES("cos\nsystem\n(S'id'\ntRcm\nf\n)R.");
    struct pw_scan *scan = pw_scan_new();
    for (size_t len = 1; len < whole.len; len++) {
        struct pw_report report;
        assert_int_equal(pw_scan_frame(scan, (struct pw_span){whole.ptr, len},
                                       &pw_limits_default, &report),
                         PW_E_OK);
        assert_int_equal(report.kind, PW_KIND_BROKEN);
        assert_true(report.find_count > 0);
        assert_int_equal(report.import_count, len < 21 ? 1 : 2);
    }
    pw_scan_free(&scan);
}

static void
numbers_of_the_report_count_what_they_say(void **state)
{
    (void)state;
    struct pw_span frame = BYTES("\x80\x05]\x94(]\x94]\x94"
                                 "ee\x97.behind");
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(pw_scan_frame(scan, frame, &pw_limits_default, &report), PW_E_OK);
    assert_int_equal(report.kind, PW_KIND_BROKEN); /* the second APPENDS has no mark */
    frame = BYTES("\x80\x05]\x94(]\x94(]\x94"
                  "ee\x97.behind");
    assert_int_equal(pw_scan_frame(scan, frame, &pw_limits_default, &report), PW_E_OK);
    assert_int_equal(report.kind, PW_KIND_PICKLE);
    assert_int_equal(report.proto, 5);
    assert_int_equal(report.ops, 13);
    assert_int_equal(report.depth, 3);
    assert_int_equal(report.memo, 3);
    assert_int_equal(report.buffers, 1);
    assert_int_equal(report.bytes, frame.len);
    assert_int_equal(report.consumed, frame.len - 6);
    pw_scan_free(&scan);
}

struct limit_case {
    const char *name;
    const char *unit; /* repeated */
    size_t unit_len;
    size_t times;
    enum pw_reason reason;
};

static const struct limit_case limit_cases[] = {
    {"bytes", "N", 1, 4097, PW_R_LIMIT_BYTES},
    {"opcodes", "N0", 2, 1001, PW_R_LIMIT_OPS},
    {"stack", "N", 1, 301, PW_R_LIMIT_STACK},
    {"marks", "(", 1, 301, PW_R_LIMIT_STACK},
    {"memo",
     "N\x94"
     "0",
     3, 201, PW_R_LIMIT_MEMO},
};

static const struct pw_limits small_limits = {
    .max_bytes = 4096,
    .max_ops = 2000,
    .max_stack = 300,
    .max_depth = 50,
    .max_memo = 200,
    .max_unfold = 1000,
    .max_work = 1000,
    .max_key_depth = 20,
    .max_collisions = 8,
    .max_int_bytes = 16,
    .max_heap = 1 << 20,
};

static void
each_limit_stops_the_scan_with_its_own_finding(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    for (size_t i = 0; i < PW_COUNT(limit_cases); i++) {
        const struct limit_case *c = &limit_cases[i];
        size_t len = c->unit_len * c->times;
        uint8_t *bytes = malloc(len);
        for (size_t at = 0; at < len; at++) {
            bytes[at] = (uint8_t)c->unit[at % c->unit_len];
        }
        struct pw_report report;
        assert_int_equal(
            pw_scan_frame(scan, (struct pw_span){bytes, len}, &small_limits, &report),
            PW_E_OK);
        check_case(c->name, report.find_count == 1 && report.finds[0].reason == c->reason);
        check_case(c->name, report.kind == PW_KIND_BROKEN);
        free(bytes);
    }
    pw_scan_free(&scan);
}

static void
nesting_is_counted_through_tuples_lists_and_states(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    for (size_t deep = 49; deep <= 51; deep++) {
        uint8_t bytes[128] = ")";
        memset(bytes + 1, 0x85, deep - 1); /* TUPLE1 */
        bytes[deep] = '.';
        struct pw_report report;
        assert_int_equal(
            pw_scan_frame(scan, (struct pw_span){bytes, deep + 1}, &small_limits, &report),
            PW_E_OK);
        assert_int_equal(report.kind, deep <= 50 ? PW_KIND_PICKLE : PW_KIND_BROKEN);
        if (deep > 50) {
            assert_int_equal(report.finds[0].reason, PW_R_LIMIT_DEPTH);
        }
    }
    /* ]]]]…aaaa: lists in lists */
    uint8_t lists[128];
    memset(lists, ']', 60);
    memset(lists + 60, 'a', 59);
    lists[119] = '.';
    struct pw_report report;
    assert_int_equal(
        pw_scan_frame(scan, (struct pw_span){lists, 120}, &small_limits, &report), PW_E_OK);
    assert_int_equal(report.finds[0].reason, PW_R_LIMIT_DEPTH);
    pw_scan_free(&scan);
}

static void
findings_of_one_door_do_not_crowd_out_others(void **state)
{
    (void)state;
    uint8_t bytes[256];
    memset(bytes, 0x97, 200); /* NEXT_BUFFER, which a policy may allow */
    memcpy(bytes + 200, ")R.", 3);
    bytes[200] = 'N';
    bytes[201] = 'N';
    bytes[202] = 'b';
    bytes[203] = '.';
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(
        pw_scan_frame(scan, (struct pw_span){bytes, 204}, &pw_limits_default, &report),
        PW_E_OK);
    assert_int_equal(report.finds[report.find_count - 1].reason, PW_R_PICKLE_TYPE);
    assert_int_equal(report.unkept[PW_DOOR_BUFFERS], 200 - PW_REPORT_FINDS);
    assert_int_equal(report.unkept[PW_DOOR_NONE], 0);
    pw_scan_free(&scan);
}

static void
a_tuple_of_arguments_can_be_read_back(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(pw_scan_frame(scan,
                                   BYTES("cm\nf\n(K\1V\\u0061b\nS'c\\x64'\ncm\nC\n)RtR."),
                                   &pw_limits_default, &report),
                     PW_E_OK);
    const struct pw_value *items;
    size_t count;
    struct pw_span text;
    assert_int_equal(report.used_count, 2);
    assert_true(pw_report_tuple(&report, report.used[1].args, &items, &count));
    assert_int_equal(count, 4);
    assert_int_equal(items[0].kind, PW_V_INT);
    assert_false(pw_report_text(&report, items[0], &text));
    assert_true(pw_report_text(&report, items[1], &text));
    assert_true(pw_span_equal(text, BYTES("ab")));
    assert_true(pw_report_text(&report, items[2], &text));
    assert_true(pw_span_equal(text, BYTES("cd")));
    assert_true(pw_span_equal(pw_report_origin(&report, items[3])->name, BYTES("C")));
    assert_null(pw_report_origin(&report, items[0]));
    pw_scan_free(&scan);
}

static void
what_is_not_there_is_not_read_back(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(pw_scan_frame(scan, BYTES("cm\nf\n((NNNNNNNNNNNNNNNNNtQtR."),
                                   &pw_limits_default, &report),
                     PW_E_OK);
    const struct pw_value *items;
    size_t count;
    assert_int_equal(report.used_count, 1);
    assert_true(pw_report_tuple(&report, report.used[0].args, &items, &count));
    assert_int_equal(count, 1);
    assert_int_equal(items[0].kind, PW_V_UNKNOWN);
    assert_false(pw_report_tuple(&report, items[0], &items, &count));
    pw_scan_free(&scan);
}

static void
a_tuple_of_seventeen_is_too_long_to_be_read_back(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(pw_scan_frame(scan, BYTES("cm\nf\n(NNNNNNNNNNNNNNNNNtR."),
                                   &pw_limits_default, &report),
                     PW_E_OK);
    const struct pw_value *items;
    size_t count;
    assert_false(pw_report_tuple(&report, report.used[0].args, &items, &count));
    pw_scan_free(&scan);
}

/* An instance of an instance came from no import. */
static void
what_a_computed_call_makes_has_no_origin(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    assert_int_equal(
        pw_scan_frame(scan, BYTES("cm\nf\n(cm\nC\n)R)RtR."), &pw_limits_default, &report),
        PW_E_OK);
    const struct pw_value *items;
    size_t count;
    assert_true(pw_report_tuple(&report, report.used[1].args, &items, &count));
    assert_int_equal(items[0].kind, PW_V_INSTANCE);
    assert_null(pw_report_origin(&report, items[0]));
    pw_scan_free(&scan);
}

/* Texts with escapes are kept decoded, in chunks of 16 KiB or as long as they are. */
static void
names_are_told_as_far_as_names_go(void **state)
{
    (void)state;
    enum { LONG = 20000, TOLD = 1024 };
    uint8_t *bytes = malloc(3 * LONG);
    struct pw_scan *scan = pw_scan_new();
    for (int round = 0; round < 3; round++) {
        size_t len = 0;
        for (int i = 0; i < 2; i++) { /* V\u0061aaa… twice, then STACK_GLOBAL */
            memcpy(bytes + len, "V\\u0061", 7);
            memset(bytes + len + 7, 'a', LONG);
            bytes[len + 7 + LONG] = '\n';
            len += 7 + LONG + 1;
        }
        memcpy(bytes + len, "\x93.", 2);
        struct pw_report report;
        assert_int_equal(pw_scan_frame(scan, (struct pw_span){bytes, len + 2},
                                       &pw_limits_default, &report),
                         PW_E_OK);
        assert_int_equal(report.import_count, 1);
        assert_int_equal(report.imports[0].mod.len, TOLD);
        assert_int_equal(report.imports[0].name.ptr[TOLD - 1], 'a');
        assert_int_equal(report.finds[0].reason, PW_R_IMPORT_NAME);
    }
    pw_scan_free(&scan);
    free(bytes);
}

static void
pickles_in_pickles_are_scanned_so_deep(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report reports[PW_SCAN_NESTING + 1];
    assert_int_equal(
        pw_scan_frame(scan, BYTES("cm\nC\n."), &pw_limits_default, &reports[0]), PW_E_OK);
    fail_alloc_at(1);
    assert_int_equal(pw_scan_nested(&reports[0], BYTES("cn\nD\n."), &reports[1]),
                     PW_E_NOMEM);
    fail_alloc_at(0);
    for (int deep = 1; deep < PW_SCAN_NESTING; deep++) {
        for (int again = 0; again < 2;
             again++) { /* the second time, its scanner is there */
            assert_int_equal(
                pw_scan_nested(&reports[deep - 1], BYTES("cn\nD\n."), &reports[deep]),
                PW_E_OK);
            assert_int_equal(reports[deep].kind, PW_KIND_PICKLE);
        }
    }
    int last = PW_SCAN_NESTING - 1;
    assert_int_equal(pw_scan_nested(&reports[last], BYTES("N."), &reports[last + 1]),
                     PW_E_LIMIT);
    assert_int_equal(reports[last + 1].kind, PW_KIND_BROKEN);
    assert_true(pw_span_equal(reports[0].imports[0].mod, BYTES("m"))); /* as it was */
    assert_true(pw_span_equal(reports[last].imports[0].mod, BYTES("n")));
    pw_scan_free(&scan);
}

static void
the_smallest_budget_of_opcodes_is_kept(void **state)
{
    (void)state;
    struct pw_span frame = BYTES("\x80\x04\x95\2\0\0\0\0\0\0\0N."); /* four opcodes */
    struct pw_scan *scan = pw_scan_new();
    for (uint32_t most = 0; most < 6; most++) {
        struct pw_limits limits = pw_limits_default;
        limits.max_ops = most;
        struct pw_report report;
        assert_int_equal(pw_scan_frame(scan, frame, &limits, &report), PW_E_OK);
        assert_int_equal(report.kind, most < 4 ? PW_KIND_BROKEN : PW_KIND_PICKLE);
        assert_int_equal(report.find_count, most < 4 ? 1 : 0);
        assert_true(most >= 4 || report.finds[0].reason == PW_R_LIMIT_OPS);
    }
    pw_scan_free(&scan);
}

static void
no_limit_is_too_small(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    for (uint32_t most = 0; most < 4; most++) {
        const struct pw_limits limits[] = {
            {.max_bytes = 4096,
             .max_ops = 4096,
             .max_stack = most,
             .max_depth = 100,
             .max_memo = 100},
            {.max_bytes = 4096,
             .max_ops = 4096,
             .max_stack = 100,
             .max_depth = most,
             .max_memo = 100},
            {.max_bytes = 4096,
             .max_ops = 4096,
             .max_stack = 100,
             .max_depth = 100,
             .max_memo = most},
            {.max_bytes = most},
        };
        for (size_t i = 0; i < PW_COUNT(scan_cases) * PW_COUNT(limits); i++) {
            const struct scan_case *c = &scan_cases[i / PW_COUNT(limits)];
            struct pw_report report;
            assert_int_equal(
                pw_scan_frame(scan, c->bytes, &limits[i % PW_COUNT(limits)], &report),
                PW_E_OK);
            check_case(c->name, report.find_count > 0 || report.kind == c->kind);
            check_case(c->name, report.depth <= 100 && report.memo <= 100);
        }
    }
    pw_scan_free(&scan);
}

static void
scan_all_once(void *state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    for (size_t i = 0; scan != NULL && i < PW_COUNT(scan_cases); i++) {
        struct pw_report report;
        enum pw_err err =
            pw_scan_frame(scan, scan_cases[i].bytes, &pw_limits_default, &report);
        assert_true(err == PW_E_OK || err == PW_E_NOMEM);
        assert_true(err == PW_E_OK || report.kind == PW_KIND_BROKEN);
    }
    pw_scan_free(&scan);
}

static void
running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    size_t n = 1;
    while (fail_alloc_round(n, scan_all_once, NULL)) {
        n++;
    }
    assert_true(n > 5);
}

static void
a_warm_scanner_allocates_nothing(void **state)
{
    (void)state;
    struct pw_scan *scan = pw_scan_new();
    struct pw_report report;
    for (size_t i = 0; i < PW_COUNT(scan_cases); i++) {
        (void)!pw_scan_frame(scan, scan_cases[i].bytes, &pw_limits_default, &report);
    }
    fail_alloc_at(1);
    for (size_t i = 0; i < PW_COUNT(scan_cases); i++) {
        enum pw_err err =
            pw_scan_frame(scan, scan_cases[i].bytes, &pw_limits_default, &report);
        assert_int_equal(err, PW_E_OK);
    }
    assert_false(fail_alloc_happened());
    fail_alloc_at(0);
    pw_scan_free(&scan);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_seen_for_what_it_does),
        cmocka_unit_test(a_used_scanner_sees_the_same_as_a_new_one),
        cmocka_unit_test(a_cut_stream_does_what_stands_before_the_cut),
        cmocka_unit_test(numbers_of_the_report_count_what_they_say),
        cmocka_unit_test(each_limit_stops_the_scan_with_its_own_finding),
        cmocka_unit_test(nesting_is_counted_through_tuples_lists_and_states),
        cmocka_unit_test(findings_of_one_door_do_not_crowd_out_others),
        cmocka_unit_test(a_tuple_of_arguments_can_be_read_back),
        cmocka_unit_test(what_is_not_there_is_not_read_back),
        cmocka_unit_test(a_tuple_of_seventeen_is_too_long_to_be_read_back),
        cmocka_unit_test(what_a_computed_call_makes_has_no_origin),
        cmocka_unit_test(names_are_told_as_far_as_names_go),
        cmocka_unit_test(pickles_in_pickles_are_scanned_so_deep),
        cmocka_unit_test(the_smallest_budget_of_opcodes_is_kept),
        cmocka_unit_test(no_limit_is_too_small),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(a_warm_scanner_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
