# SPDX-License-Identifier: Apache-2.0
"""Arguments spelled as text. Where unpicklers read a number differently, it is refused."""

import assemble as o
from rows import broken, row

FAILS = {"all": "fails"}
NUMBER = "pickle.number"


def spelled(code, line, finds="", **more):
    row(f"{code} {line!r}", o.OPCODES[code](line) + o.STOP, finds, **more)


# ---- INT

for line, value in (("0", "0"), ("1", "1"), ("-1", "-1"), ("12", "12"), ("2147483648", "2147483648"),
                    ("18446744073709551615", "18446744073709551615"), ("00", "False"), ("01", "True")):
    spelled("INT", line, value=value)
for line, value in (("0x10", "16"), ("0o10", "8"), ("0b11", "3")):
    spelled("INT", line, NUMBER, value=value, does={"all>=3.14": "fails"})
spelled("INT", "010", NUMBER, does={"py<3.14": "fails"}, value={"c<3.14": "8", "all>=3.14": "10"})
spelled("INT", "001", NUMBER, does={"py<3.14": "fails"}, value="1")
spelled("INT", "08", NUMBER, does={"all<3.14": "fails"}, value="8")
for line in (" 12", "12 ", "\t12", "12\t", "\v12", "12\f", "12\r", "+12", "1_2", "- 12".replace(" ", "")):
    canonical = line == "-12"
    spelled("INT", line, "" if canonical else NUMBER, value="-12" if canonical else "12")
for line, number in (("+0", "0"), ("-0", "0"), (" 1", "1"), ("\v1", "1"), ("\t0", "0"), ("+1", "1")):
    spelled("INT", line, NUMBER, value={"c<3.15": str(number == "1"), "c>=3.15": number, "py": number})
spelled("INT", "1 ", NUMBER, value="1")
for line in ("1L", "--1", "1__0", "_1", "1_", "", " ", "-", "1.0", "one", "1 2"):
    spelled("INT", line, NUMBER, does=FAILS)
spelled("INT", "1\0junk", NUMBER, does={"py": "fails"}, value="1")
spelled("INT", "\0a", NUMBER, does={"py": "fails", "c>=3.15": "fails"}, value="False")
spelled("INT", "1" * 4300)
row("INT of 4301 digits", o.INT("1" * 4301) + o.STOP, NUMBER, does={"all>=3.7": "fails"})
row("INT of 4301 digits and a sign", o.INT("-" + "1" * 4301) + o.STOP, NUMBER, does={"all>=3.7": "fails"})
row("INT of 4300 digits and a sign", o.INT("-" + "1" * 4300) + o.STOP)
row("INT of 5000 hexadecimal digits", o.INT("0x" + "1" * 5000) + o.STOP, NUMBER, does={"all>=3.14": "fails"})

# ---- LONG

for line, value in (("0", "0"), ("1", "1"), ("1L", "1"), ("-1L", "-1"), ("0L", "0")):
    spelled("LONG", line, value=value)
for line, value in (("1 ", "1"), (" 1L", "1"), ("1 L", "1"), ("+1L", "1"), ("-0L", "0"), ("1_0L", "10"), ("00", "0"),
                    ("1\r", "1")):
    spelled("LONG", line, NUMBER, value=value)
spelled("LONG", "0x10L", NUMBER, value="16", does={"all>=3.14": "fails"})
spelled("LONG", "01", NUMBER, value="1", does={"all<3.14": "fails"})
for line in ("1l", "1L ", "1LL", "1L\r", "", "L", "1.0"):
    spelled("LONG", line, NUMBER, does=FAILS)
spelled("LONG", "1\0junk", NUMBER, does={"py": "fails"}, value="1")
row("LONG of 4300 digits", o.LONG("1" * 4300 + "L") + o.STOP)
row("LONG of 4301 digits", o.LONG("1" * 4301 + "L") + o.STOP, NUMBER, does={"all>=3.7": "fails"})

# ---- FLOAT

for line, value in (("1.5", "1.5"), ("-1.5", "-1.5"), ("+1.5", "1.5"), ("1", "1.0"), (".5", "0.5"), ("5.", "5.0"),
                    ("1e5", "100000.0"), ("1E+06", "1000000.0"), ("1e-5", "1e-05"), ("inf", "inf"), ("-inf", "-inf"),
                    ("+Inf", "inf"), ("Infinity", "inf"), ("nan", "nan"), ("-NaN", "nan"), ("1e308", "1e+308"),
                    ("1e-999", "0.0")):
    spelled("FLOAT", line, value=value)
for line in (" 1.5", "1.5 ", "1.5\r", "1_0.5", "\t1.5"):
    spelled("FLOAT", line, NUMBER, does={"c": "fails"}, value="10.5" if "_" in line else "1.5")
spelled("FLOAT", "1e999", NUMBER, does={"c": "fails"}, value="inf")
spelled("FLOAT", "1.5\0x", NUMBER, does={"py": "fails"}, value="1.5")
for line in ("", ".", "e5", "1e", "1e+", "0x1p3", "1.5.1", "1.5f", "infin", "--1", "1 5"):
    spelled("FLOAT", line, NUMBER, does=FAILS)

# ---- STRING

for line, value in (("'abc'", "'abc'"), ('"abc"', "'abc'"), ("''", "''"), ("'a'b'", '"a\'b"'), ("'a\"b'", "'a\"b'"),
                    (r"'\\'", r"'\\'"), (r"'\''", '"\'"'), (r"'\"'", "'\"'"), (r"'\a\b\f\n\r\t\v'",
                    r"'\x07\x08\x0c\n\r\t\x0b'"), (r"'\1\12\101'", r"'\x01\nA'"), (r"'\1018'", "'A8'"),
                    (r"'\x41'", "'A'"), (r"'\q\N\u0041'", r"'\\q\\N\\u0041'"), (r"'\400'", r"'\x00'"),
                    ("'a b'", "'a b'"), ("'\0'", r"'\x00'")):
    spelled("STRING", line, value=value)
for line in ("abc", "'", '"', "", "'abc", "abc'", "'abc\"", "'abc' ", "'abc'\r", "'abc'\t", " 'abc'", r"'\x4'",
             r"'\x'", r"'\xg0'", "'abc\\'"):
    broken(f"STRING {line!r}", o.STRING(line) + o.STOP, "pickle.string")
spelled("STRING", b"'\xe9'", does=FAILS)
spelled("STRING", r"'\351'", does=FAILS)
row("STRING, encoding latin1", o.STRING(r"'\351'") + o.STOP, encoding="latin1", value="'\xe9'")
row("STRING, encoding bytes", o.STRING(r"'\351'") + o.STOP, encoding="bytes", value="b'\\xe9'")

# ---- UNICODE

for line, value in ((b"abc", "'abc'"), (b"", "''"), (b"\xe9", "'\xe9'"), (br"\u20ac", "'\u20ac'"),
                    (br"\U0001f600", "'\U0001f600'"), (br"\\u20ac", r"'\\\\u20ac'"), (br"\\\u20ac", "'\\\\\\\\\u20ac'"),
                    (br"\ud800", r"'\ud800'"), (br"\ud83d\ude00", r"'\ud83d\ude00'"), (br"\n\x41\N{BEE}",
                    r"'\\n\\x41\\N{BEE}'"), (b"a\r", r"'a\r'"), (b"\0", r"'\x00'"), (b"a\\", r"'a\\'"),
                    (br"\U0010ffff", r"'\U0010ffff'"), (b"'a'", '"\'a\'"')):
    spelled("UNICODE", line, value=value)
for line in (br"\u", br"\u12", br"\u123g", br"\U0001f60", br"\U00110000", br"\Uffffffff"):
    broken(f"UNICODE {line!r}", o.UNICODE(line) + o.STOP, "pickle.unicode")
row("UNICODE may spell a name with escapes", o.UNICODE(br"\u006fs") + o.UNICODE(br"sys\u0074em") + o.STACK_GLOBAL
    + o.STOP, imports="os:system")

# ---- GET, PUT

one = o.BININT1(1)
for line in (" 1", "1 ", "+1", "01", "1\r", "\t1"):
    row(f"PUT {line!r}", one + o.PUT(line) + o.POP + o.BINGET(1) + o.STOP, NUMBER, value="1")
    row(f"GET {line!r}", one + o.PUT("1") + o.POP + o.GET(line) + o.STOP, NUMBER, value="1")
row("PUT '1_0'", one + o.PUT("1_0") + o.POP + o.BINGET(10) + o.STOP, NUMBER, value="1")
row("GET '1_0'", one + o.PUT("10") + o.POP + o.GET("1_0") + o.STOP, NUMBER, value="1")
row("GET '-0'", one + o.PUT("0") + o.POP + o.GET("0") + o.STOP, value="1")
row("PUT '1\\0x'", one + o.PUT("1\0x") + o.POP + o.BINGET(1) + o.STOP, NUMBER, does={"py": "fails"}, value="1")
row("GET '1\\0x'", one + o.PUT("1") + o.POP + o.GET("1\0x") + o.STOP, NUMBER, does={"py": "fails"}, value="1")
for line in ("", " ", "x", "L", "-1"):
    broken(f"PUT {line!r}", one + o.PUT(line) + o.STOP, "pickle.number pickle.number")
    broken(f"GET {line!r}", one + o.PUT("1") + o.GET(line) + o.STOP, "pickle.number memo.missing")
for line in ("0x1", "1L", "1.0", "1__0"):
    row(f"PUT {line!r}", one + o.PUT(line) + o.STOP, NUMBER, does=FAILS)
FAR = str(2**63)
row("PUT of an index above every size", one + o.PUT(FAR) + o.POP + o.GET(FAR) + o.STOP,
    "pickle.number limit.memo pickle.number", does={"c": "fails"}, value="1")
row("PUT of an index for which there is no memory", one + o.PUT(str(2**40)) + o.STOP, "limit.memo",
    does={"c<3.15": "fails"}, value="1")
row("PUT of 4301 digits", one + o.PUT("0" * 4300 + "1") + o.STOP, NUMBER, does={"all>=3.7": "fails"})

# ---- GLOBAL, INST

C = "m:C"
for code, before in (("GLOBAL", b""), ("INST", o.MARK)):
    names = o.OPCODES[code]

    def global_row(what, module, name, finds="", does=None, resolves=None, imports=None):
        row(f"{code} {what}", before + names(module, name) + o.STOP, finds, imports or [(module, name)], does=does,
            resolves=resolves)

    global_row("of plain names", "m", "C")
    global_row("with a carriage return", "m\r", "C\r", "import.name")
    global_row("with blanks", " m", "C ", "import.name")
    global_row("with NUL", "os\0x", "system", "import.name")
    global_row("with a dot", "a.b", "C.d")
    global_row("with a quote", "m'", 'C"')
    global_row("without a module", "", "C", "import.name", does={"c": "fails"}, resolves={"c": []})
    global_row("without a name", "m", "", "import.name", does={"c": "fails"}, resolves={"c": []})
    global_row("with a control character", "m", "C\x1b[2J", "import.name")
    global_row("with DEL", "m\x7f", "C", "import.name")
    global_row("that is not UTF-8", b"m\xff", "C", "import.name", does=FAILS, resolves={"all": []})
    global_row("with half of a surrogate pair", b"m\xed\xa0\x80", "C", "import.name", does=FAILS, resolves={"all": []})
    # Lib/pickle.py takes what is left of a line that is cut off, less its last byte.
    for what, cut, imports, finds in (
        ("cut off in its name", b"m\nabc", C.replace("C", "ab"), ""),
        ("cut off behind one letter of its name", b"m\na", [("m", "")], "import.name "),
        ("cut off before its name", b"m\n", [("m", "")], "import.name "),
        ("cut off in its module", b"mod", [("mo", "")], "import.name "),
        ("cut off behind its opcode", b"", [("", "")], "import.name "),
    ):
        broken(f"{code} {what}", before + names()[:1] + cut, finds + "pickle.truncated", imports,
               resolves={"c": [], "py": imports})
global_bom = "\ufeffos"
row("GLOBAL is UTF-8 in every protocol", o.PROTO(0) + o.GLOBAL("\xe9", "\u20ac") + o.STOP, imports="\xe9:\u20ac")
row("GLOBAL keeps a byte order mark", o.GLOBAL(global_bom, "system") + o.STOP, imports=[(global_bom, "system")])
row("INST that is not ASCII", o.MARK + o.INST("\xe9", "C") + o.STOP, "import.name", "\xe9:C", does=FAILS,
    resolves={"all": []})
broken("INST without a mark: Lib/pickle.py imports first", o.NONE + o.INST("m", "C") + o.STOP, "pickle.no_mark", C,
       resolves={"c": [], "py": C})
row("a line ends at a line feed only", o.PERSID("a\rb\v\f\x1c") + o.STOP, "persistent_id.denied",
    does={"loads": "fails"})
