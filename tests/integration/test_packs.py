# SPDX-License-Identifier: Apache-2.0
"""The shipped policies, with pickles of real objects of the libraries they are for."""

import importlib
import io
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess

import cloudpickle
import dill
import joblib
import numpy as np
import pytest

import pack_objects as objects

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PICKLEWALL_BIN", str(ROOT / "build/dev/picklewall"))
PACKS = sorted(path.stem for path in (ROOT / "config/policies").glob("*.conf"))
PROTOCOLS = range(6)
OUT_OF_BAND = "oob"  # protocol 5 with its buffers elsewhere

# What each policy is for, and how many kinds of objects there are at least.
GROUPS = {
    "numpy": (objects.numpy_objects, 60),
    "numpy-unchecked": (objects.numpy_unchecked_objects, 12),
    "pandas": (objects.pandas_objects, 35),
    "scipy-sparse": (objects.sparse_objects, 15),
    "scikit-learn": (objects.sklearn_objects, 150),
    "scikit-learn-unchecked": (objects.sklearn_unchecked_objects, 40),
    "torch-tensors": (objects.torch_objects, 20),
    "python-exceptions": (objects.exception_objects, 7),
    "python-tz": (objects.zone_objects, 5),
}

# What the library itself cannot write.
UNWRITABLE = {("pandas", "date offset", 0), ("pandas", "date offset", 1)}


def write(group, name, value, protocol):
    """The pickle and its buffers; None for what the library cannot write or writes another way."""
    if group == "torch-tensors":  # torch.save has one protocol, and pickle.dumps nests five pickles
        return (objects.torch_saved(value), []) if protocol == 2 else None
    if (group, name, protocol) in UNWRITABLE:
        with pytest.raises(TypeError):
            pickle.dumps(value, protocol)
        return None
    if protocol != OUT_OF_BAND:
        return pickle.dumps(value, protocol), []
    buffers = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return (data, buffers) if buffers else None


class Streams:
    """Every object of every group in every protocol: {(group, name, protocol): (bytes, buffers)}, also as files."""

    def __init__(self, folder):
        self.folder = folder
        self.written = {}
        self.policies = folder / "policies"
        self.policies.mkdir()
        for pack in PACKS:
            shutil.copy(ROOT / f"config/policies/{pack}.conf", self.policies)
            text = f'policy\n    {pack}-{OUT_OF_BAND}\n        include = "{pack}"\n        buffers = yes\n'
            (self.policies / f"{pack}-{OUT_OF_BAND}.conf").write_text(text)
        for group, (make, _) in GROUPS.items():
            for name, value in objects.made_quietly(make).items():
                for protocol in [*PROTOCOLS, OUT_OF_BAND]:
                    self.add(group, name, value, protocol)

    def add(self, group, name, value, protocol):
        pair = write(group, name, value, protocol)
        if pair is None:
            return
        self.written[group, name, protocol] = pair
        path = self.path(group, name, protocol)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pair[0])

    def path(self, group, name, protocol):
        kind = OUT_OF_BAND if protocol == OUT_OF_BAND else "whole"
        return self.folder / kind / group / f"{name}-{protocol}.pkl"

    def scan(self, policy, *paths):
        """{path: report}"""
        command = [BINARY, "scan", "--json", "--policy", policy, *map(str, paths)]
        environment = {**os.environ, "PICKLEWALL_POLICIES": str(self.policies)}
        result = subprocess.run(command, capture_output=True, timeout=60, env=environment)
        assert result.stderr == b"", result.stderr.decode()
        return {r["path"]: r for r in map(json.loads, result.stdout.splitlines())}


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    return Streams(tmp_path_factory.mktemp("packs"))


def names_of(pack):
    """Every name that the policy and what it includes allow: read here, not by the wall."""
    text = (ROOT / f"config/policies/{pack}.conf").read_text()
    names = set(re.findall(r'^ +allow = "([^ "]+)', text, re.M))
    for included in re.findall(r'^ +include = "([^"]+)"', text, re.M):
        names |= names_of(included)
    return names


class Recorder(pickle.Unpickler):
    """Loads, and tells which names it resolved as the stream spells them."""

    def __init__(self, data, buffers):
        super().__init__(io.BytesIO(data), buffers=buffers)
        self.names = set()

    def find_class(self, module, name):
        self.names.add(f"{module}:{name}")
        return super().find_class(module, name)

    def persistent_load(self, key):
        kind, storage, _, _, count = key
        assert kind == "storage"
        return storage(count)


def resolved(data, buffers=()):
    recorder = Recorder(data, buffers)
    objects.made_quietly(recorder.load)
    return recorder.names


def refusals(reports):
    return {path: report["finds"] for path, report in reports.items() if report["verdict"] != "pass"}


def in_group(streams, group):
    return {key: pair for key, pair in streams.written.items() if key[0] == group}


@pytest.mark.parametrize("group", GROUPS)
def test_every_object_passes_under_its_policy(streams, group, capsys):
    least = GROUPS[group][1]
    reports = streams.scan(group, streams.folder / "whole" / group)
    if (streams.folder / OUT_OF_BAND / group).exists():
        reports.update(streams.scan(f"{group}-{OUT_OF_BAND}", streams.folder / OUT_OF_BAND / group))
    written = in_group(streams, group)
    assert refusals(reports) == {}
    assert set(reports) == {str(streams.path(*key)) for key in written}
    kinds = {name for _, name, _ in written}
    assert len(kinds) >= least
    with capsys.disabled():
        print(f"\n{group}: {len(kinds)} objects, {len(reports)} pickles, all pass", end=" ")


@pytest.mark.parametrize("group", GROUPS)
def test_what_the_consumer_resolves_is_on_the_list(streams, group):
    allowed = names_of(group)
    for key, (data, buffers) in in_group(streams, group).items():
        assert resolved(data, buffers) <= allowed, key


def test_python_data_lets_nothing_pass_that_resolves_more(streams):
    allowed = names_of("python-data")
    reports = streams.scan("python-data", streams.folder / "whole", streams.folder / OUT_OF_BAND)
    passed = 0
    for key, (data, buffers) in streams.written.items():
        report = reports[str(streams.path(*key))]
        more = resolved(data, buffers) - allowed
        if report["verdict"] == "pass":
            passed += 1
            assert more == set(), key
        elif not buffers and key[0] != "torch-tensors":
            assert more != set() or report["reason"] in ("args.denied", "use.denied"), key
    assert passed < len(streams.written) / 20


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("torch-tensors", "python-exceptions", "python-tz")])
def test_buffers_need_their_door(streams, group):
    reports = streams.scan(group, streams.folder / OUT_OF_BAND / group)
    assert reports and {report["reason"] for report in reports.values()} == {"buffer.denied"}


@pytest.mark.parametrize("group", ["numpy", "pandas", "scipy-sparse", "scikit-learn-unchecked"])
def test_numpy_2_is_told_by_its_own_names(streams, group, tmp_path):
    count = 0
    for (_, name, protocol), (data, _) in in_group(streams, group).items():
        if protocol in (0, 1, 2) and b"cnumpy.core." in data:  # names are lines there, of any length
            (tmp_path / f"{name}-{protocol}.pkl").write_bytes(data.replace(b"cnumpy.core.", b"cnumpy._core."))
            count += 1
    reports = streams.scan(group, tmp_path)
    assert refusals(reports) == {} and len(reports) == count > 20


def make_closure(value):
    return lambda other: other + value


class Local:
    def method(self):
        return 1


CODE = {
    "function": objects.outer_function, "lambda": lambda: 1, "closure": make_closure(3), "method": Local().method,
    "in a list": [1, make_closure(2)],
}


def code_streams(module, protocol):
    for name, value in CODE.items():
        if module is dill:
            yield name, dill.dumps(value, protocol, byref=False, recurse=True)
        else:
            yield name, cloudpickle.dumps(value, protocol)


@pytest.mark.parametrize("pack", PACKS)
def test_functions_pass_under_no_policy(streams, pack, tmp_path):
    for protocol in range(2, 6):
        for module in (dill, cloudpickle):
            for name, data in code_streams(module, protocol):
                (tmp_path / f"{module.__name__} {name}-{protocol}.pkl").write_bytes(data)
    reports = streams.scan(pack, tmp_path)
    assert len(reports) == 4 * 2 * len(CODE)
    assert {path for path, report in reports.items() if report["verdict"] == "pass"} == set()


PLAIN = {"a": [1, 2.5, None], "b": ("text", "bytes")}
ARRAYS = [np.ones(3), np.array([None, "x"])]


def test_data_of_other_picklers_is_data(streams, tmp_path):
    path = tmp_path / "a.pkl"
    for protocol in range(2, 6):
        path.write_bytes(dill.dumps(PLAIN, protocol))
        assert refusals(streams.scan("python-data", path)) == {}
        path.write_bytes(cloudpickle.dumps([PLAIN, ARRAYS], protocol))
        assert refusals(streams.scan("numpy", path)) == {}


def test_arrays_of_dill_are_calls_of_anything_and_pass_nowhere(streams, tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(dill.dumps(ARRAYS, 4))
    for pack in PACKS:
        (report,) = streams.scan(pack, path).values()
        assert ("dill._dill", "_create_array") in {(find["mod"], find["name"]) for find in report["finds"] if "mod" in find}


def test_joblib_writes_pickles_of_data_and_something_else_of_arrays(streams, tmp_path):
    path = tmp_path / "a.pkl"
    joblib.dump(PLAIN, path)
    assert refusals(streams.scan("python-data", path)) == {}
    joblib.dump(np.ones(3), path)  # an array's bytes stand inside the stream
    for pack in PACKS:
        (report,) = streams.scan(pack, path).values()
        assert report["verdict"] != "pass"
        assert {"mod": "joblib.numpy_pickle", "name": "NumpyArrayWrapper"}.items() <= report["imports"][0].items()


class Named:
    """A global of that name, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Forged:
    """The result of a call, with a state, whatever they are."""

    def __init__(self, function, arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state


class Forger(pickle._Pickler):
    """Writes what was never pickled."""

    def save_named(self, named):
        self.write(f"c{named.module}\n{named.name}\n".encode())

    def save_forged(self, forged):
        self.save(forged.function)
        self.save(forged.arguments)
        self.write(pickle.REDUCE)
        if forged.state is not None:
            self.save(forged.state)
            self.write(pickle.BUILD)

    dispatch = {**pickle._Pickler.dispatch, Named: save_named, Forged: save_forged}


def forge(forged):
    file = io.BytesIO()
    Forger(file, 4).dump(forged)
    return file.getvalue()


def dtype(letter, state=None, flags=(False, True)):
    return Forged(Named("numpy", "dtype"), (letter, *flags), state)


NUMBER = (3, "<", None, None, None, -1, -1, 0)
OBJECT = (3, "|", None, None, None, -1, -1, 63)
RECONSTRUCT = Named("numpy.core.multiarray", "_reconstruct")
NDARRAY = Named("numpy", "ndarray")


def array(state, cls=NDARRAY, shape=(0,), letter=b"b"):
    return Forged(RECONSTRUCT, (cls, shape, letter), state)


def call(function, *arguments, state=None):
    return Forged(Named(*function.split(":")), arguments, state)


FORGERIES = {
    "an object dtype that holds bytes": ("numpy", dtype("O8", NUMBER), "args.denied"),
    "a number that holds objects": ("numpy", dtype("f8", OBJECT), "args.denied"),
    "a number of another size": ("numpy", dtype("f8", (3, "<", None, None, None, 64, 8, 0)), "args.denied"),
    "text of a negative size": ("numpy", dtype("U1", (3, "<", None, None, None, -4, 4, 8)), "args.denied"),
    "text that holds objects": ("numpy", dtype("U1", (3, "<", None, None, None, 4, 4, 63)), "args.denied"),
    "fields": ("numpy", dtype("V8", (3, "|", None, ("a",), {"a": (dtype("f8"), 10**12)}, 8, 1, 16)), "args.denied"),
    "a subarray": ("numpy", dtype("V8", (3, "|", (dtype("f8"), (10**9,)), None, None, 8, 1, 0)), "args.denied"),
    "the shared dtype": ("numpy", dtype("f8", NUMBER, (False, False)), "args.denied"),
    "a dtype that is a list of them": ("numpy", dtype("f8,f8"), "args.denied"),
    "a dtype of a dict": ("numpy", dtype({"names": ["a"], "formats": ["O"]}), "args.denied"),
    "an array of a size": ("numpy", array(None, shape=(10**12,)), "args.denied"),
    "an array of another type": ("numpy", array(None, letter="V2000000000"), "args.denied"),
    "an array of another class": ("numpy", array(None, cls=Named("numpy", "memmap")), "import.denied"),
    "an array that is called": ("numpy", call("numpy:ndarray", (10**12,)), "use.denied"),
    "an array whose dtype is text": ("numpy", array((1, (1,), "O", False, b"12345678")), "args.denied"),
    "an array of more objects than there are": ("numpy", array((1, (66,), dtype("O8", OBJECT), False, [1, None])), "args.denied"),
    "an array of objects of a size": ("numpy", array((1, (2**32, 2**32), dtype("O8", OBJECT), False, [])), "args.denied"),
    "an array of a negative size": ("numpy", array((1, (-1, -2), dtype("O8", OBJECT), False, [1, None])), "args.denied"),
    "a view of an array": ("numpy", call("numpy.core.numeric:_frombuffer", array(None), dtype("i1"), (0,), "C"), "args.denied"),
    "memory of a size": ("numpy", call("numpy:void", 10**9), "use.denied"),
    "a cell without bytes": ("numpy", call("numpy.core.multiarray:scalar", dtype("V99999999")), "args.denied"),
    "a cell of anything": ("numpy", call("numpy.core.multiarray:scalar", dtype("f8"), [1]), "args.denied"),
    "a function of a module": ("numpy", call("numpy.core:_ufunc_reconstruct", "os", "system"), "import.denied"),
    "a generator made by another": ("numpy", call("numpy.random._pickle:__generator_ctor", "PCG64", Named("builtins", "list")), "args.denied"),
    "a generator with a place in a table": ("numpy", call("numpy.random._pickle:__bit_generator_ctor", "MT19937", state={}), "args.denied"),
    "a file of numpy's": ("numpy", call("numpy:load", "/etc/passwd"), "import.denied"),
    "an index of another class": ("pandas", call("pandas.core.indexes.base:_new_Index", Named("pandas.core.frame", "DataFrame"), {}), "args.denied"),
    "an array class that is none": (
        "pandas", call("pandas._libs.arrays:__pyx_unpickle_NDArrayBacked", Named("builtins", "object"), 0, None), "args.denied"),
    "a pickle that pandas reads": ("pandas", call("pandas.io.pickle:read_pickle", "a.pkl"), "import.denied"),
    "an expression for pandas": ("pandas", call("pandas:eval", "1"), "import.denied"),
    "five pickles in a constant": ("torch-tensors", call("torch.storage:_load_from_bytes", b"N."), "import.denied"),
    "a tensor made by another": (
        "torch-tensors", call("torch._tensor:_rebuild_from_type_v2", Named("os", "system"), Named("torch", "Tensor"), ("id",), {}),
        "import.denied"),
    "a tensor of no storage": (
        "torch-tensors", call("torch._utils:_rebuild_tensor_v2", [1], 0, (1,), (1,), False, call("collections:OrderedDict")), "args.denied"),
    "a module": ("torch-tensors", call("torch.nn.modules.linear:Linear", 1, 1), "import.denied"),
    "an estimator that is constructed": ("scikit-learn", call("sklearn.cluster._kmeans:KMeans", 8), "use.denied"),
    "a tree without leave": ("scikit-learn", call("sklearn.tree._tree:Tree", 1, array(None), 1), "import.denied"),
    "a tree of what is no array": ("scikit-learn-unchecked", call("sklearn.tree._tree:Tree", 1, [1], 1), "args.denied"),
    "a distance that calls back": (
        "scikit-learn-unchecked", call("sklearn.metrics._dist_metrics:newObj", Named("sklearn.metrics._dist_metrics", "PyFuncDistance")),
        "import.denied"),
    "an attribute": ("python-tz", call("builtins:getattr", Named("builtins", "object"), "__subclasses__"), "import.denied"),
    "a zone that is a file": ("python-tz", call("dateutil.tz.tz:tzfile", "/etc/passwd"), "import.denied"),
    "the end of the consumer": ("python-exceptions", call("builtins:SystemExit", 0), "import.denied"),
    "keys of a class": (
        "scipy-sparse", call("copyreg:_reconstructor", Named("scipy.sparse._dok", "dok_matrix"), Named("builtins", "list"), [1]), "args.denied"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_the_rules_are_for_is_refused(streams, name, tmp_path):
    pack, forged, reason = FORGERIES[name]
    path = tmp_path / "forged.pkl"
    path.write_bytes(forge(forged))
    (report,) = streams.scan(pack, path).values()
    assert report["kind"] == "pickle" and report["reason"] == reason, report["finds"]


def test_the_forger_writes_what_passes_when_it_is_true(streams, tmp_path):
    path = tmp_path / "true.pkl"
    path.write_bytes(forge(array((1, (1,), dtype("f8", NUMBER), False, b"12345678"))))
    assert refusals(streams.scan("numpy", path)) == {}
    assert resolved(path.read_bytes()) == {"numpy:dtype", "numpy:ndarray", "numpy.core.multiarray:_reconstruct"}


# A class with a __setstate__ of its own, and what that does.
SETTERS = {"sklearn.isotonic:IsotonicRegression"}  # BaseEstimator's, then an interpolation over its two arrays


def test_the_reason_given_for_estimators_holds_for_each():
    base = importlib.import_module("sklearn.base").BaseEstimator
    text = (ROOT / "config/policies/scikit-learn.conf").read_text()
    names = re.findall(r'allow = "(\S+) new\(\) build\(dict\)"', text)
    assert len(names) > 200
    for name in names:
        module, attribute = name.split(":")
        cls = getattr(importlib.import_module(module), attribute)
        assert cls.__new__ is object.__new__, name
        assert not hasattr(cls, "__del__") and cls.__setattr__ is object.__setattr__, name
        if name not in SETTERS:
            assert getattr(cls, "__setstate__", base.__setstate__) is base.__setstate__, name
