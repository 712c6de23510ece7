# SPDX-License-Identifier: Apache-2.0
"""Real objects of the libraries that policies are shipped for: functions that give {name: object}."""

import collections
import datetime
import io
import warnings
import zipfile

import numpy as np


def numpy_arrays():
    kinds = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 f16 c8 c16 c32 >i4 >f8 >c16 S5 >S5 U7 >U7 V8 M8[ns] M8[D] m8[s] >M8[us]"
    made = {f"array {kind}": np.zeros(3, kind) for kind in kinds.split()}
    made.update({f"dtype {kind}": np.dtype(kind) for kind in kinds.split() + ["O", "S0", "U0", "M8"]})
    return made


def numpy_objects():
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]], fill_value=-1)
    return {
        **numpy_arrays(),
        "scalars": [np.float64(1.5), np.float32(1), np.int64(7), np.uint8(1), np.bool_(True), np.complex64(1j)],
        "scalar str": [np.str_("text"), np.bytes_(b"bytes"), np.bytes_(b"")],
        "scalar times": [np.datetime64("2026-01-02T03:04"), np.timedelta64(5, "D"), np.datetime64("NaT")],
        "scalar void": np.void(b"12345678"),
        "empty": np.zeros((0, 3)),
        "no dimension": np.array(5.0),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(20)[::3],
        "read-only": np.frombuffer(b"12345678", "i4"),
        "large": np.arange(100000.0),
        "high": np.zeros((1, 2, 1, 2, 1, 2)),
        "objects": np.array([1, "two", None, 3.0, [4], {"five": 5}], dtype=object),
        "objects of arrays": np.array([np.zeros(2), [np.ones(1)], np.array(["x", None], dtype=object)], dtype=object),
        "objects with dates": np.array([datetime.date(2026, 1, 2), datetime.timedelta(1)], dtype=object),
        "matrix": np.matrix([[1, 2], [3, 4]]),
        "chararray": np.char.array(["a", "bc"]),
        "masked": masked,
        "masked int": np.ma.array([1, 2, 3], mask=[1, 0, 1]),
        "masked objects": np.ma.array(["a", None], mask=[0, 1], dtype=object),
        "masked constant": np.ma.masked,
        "poly1d": np.poly1d([1, 2, 3]),
        "polynomials": [np.polynomial.Polynomial([1, 2]), np.polynomial.Chebyshev([1, 2]), np.polynomial.Legendre([3])],
        "scalar types": [np.float64, np.int32, np.bool_, np.object_, np.datetime64, np.ndarray],
        "dtype classes": [type(np.dtype("f8")), type(np.dtype("i4"))],
        "generators": [np.random.Generator(kind(5)) for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.SFC64)],
        "bit generators": [np.random.PCG64(1), np.random.SFC64(1)],
        "in a message": {"job": 7, "data": np.ones((2, 2)), "tags": np.array(["a", "b"]), "when": datetime.datetime(2026, 1, 2)},
        "twins": [np.ones(3), np.ones(3), np.array([None]), np.zeros(2, "M8[s]")],
    }


def numpy_unchecked_objects():
    fields = np.dtype([("a", "i4"), ("b", "f8", (2,)), ("c", "U3"), ("d", "O")])
    return {
        "structured": np.zeros(2, fields),
        "structured scalar": np.zeros(2, [("a", "i4"), ("b", "f8")])[0],
        "aligned": np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        "nested": np.zeros(2, [("a", [("b", "i2"), ("c", "M8[ns]")])]),
        "titled": np.zeros(2, [(("title", "a"), "i4")]),
        "offsets": np.zeros(2, np.dtype({"names": ["a"], "formats": ["f8"], "offsets": [3], "itemsize": 16})),
        "subarray dtype": np.dtype(("i4", (2, 3))),
        "recarray": np.rec.array([(1, "x"), (2, "y")], names="n,s"),
        "record": np.rec.array([(1, 2.0)], names="n,f")[0],
        "masked structured": np.ma.array([(1, 2.0)], mask=[(1, 0)], dtype=[("a", "i4"), ("b", "f8")]),
        "mvoid": np.ma.array([(1, 2.0)], mask=[(1, 0)], dtype=[("a", "i4"), ("b", "f8")])[0],
        "random state": np.random.RandomState(5),
        "other generators": [np.random.Generator(np.random.MT19937(1)), np.random.Generator(np.random.Philox(1))],
        "seed sequence": np.random.SeedSequence(5),
    }


def pandas_objects():
    import pandas as pd

    days = pd.date_range("2026-01-01", periods=4, freq="D")
    frame = pd.DataFrame({"i": [1, 2, 3, 4], "f": [1.0, 2.0, None, 4.0], "s": list("abca"), "b": [True, False, True, True]})
    mixed = frame.assign(
        t=days, z=days.tz_localize("UTC"), d=days - days[0], c=pd.Categorical(list("xyxx")),
        p=pd.period_range("2026-01", periods=4, freq="M"), n=pd.array([1, None, 3, 4], dtype="Int64"),
        g=pd.array(list("pqrs"), dtype="string"), o=pd.array([True, None, False, True], dtype="boolean"),
        v=pd.interval_range(0, 4), e=pd.arrays.SparseArray([0, 0, 1, 0]), l=pd.array([1.5, None, 2, 3], dtype="Float64"),
    )
    return {
        "frame": frame,
        "empty frame": pd.DataFrame(),
        "frame with an index": frame.set_index("s"),
        "frame of many kinds": mixed,
        "frame grouped": mixed.groupby("s").agg({"i": ["sum", "mean"], "f": "max"}),
        "frame with two levels": frame.set_index(["s", "i"]),
        "frame described": frame.describe(),
        "frame with attributes": frame.rename_axis("rows").rename_axis("columns", axis=1),
        "frame slice": mixed.iloc[1:3, ::2],
        "series": frame["i"],
        "series of text": frame["s"],
        "series with a name": pd.Series([1.0, 2.0], index=["a", "b"], name="n"),
        "series of categories": mixed["c"],
        "series of times": pd.Series(range(4), index=days),
        "series of objects": pd.Series([[1], {"a": 2}, None, datetime.date(2026, 1, 2)]),
        "range index": pd.RangeIndex(5),
        "index": pd.Index(["a", "b"], name="n"),
        "index of ints": pd.Index([1, 5, 7]),
        "index of floats": pd.Index([1.0, 5.5]),
        "index of unsigned": pd.Index([1, 2], dtype="u8"),
        "index of days": days,
        "index of days with a zone": pd.date_range("2026-01-01", periods=3, freq="H", tz="Europe/Berlin"),
        "index of fixed zone": pd.date_range("2026-01-01", periods=3, tz=datetime.timezone.utc),
        "index of months": pd.period_range("2026-01", periods=3, freq="M"),
        "index of durations": pd.timedelta_range("1 day", periods=3),
        "index of intervals": pd.interval_range(0, 3),
        "index of categories": pd.CategoricalIndex(list("aba")),
        "index of two levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", "y"]),
        "timestamp": pd.Timestamp("2026-01-02 03:04:05.123456789"),
        "timestamp with a zone": [pd.Timestamp("2026-01-02", tz=zone) for zone in ("UTC", "US/Eastern", "Asia/Kolkata")],
        "durations": [pd.Timedelta("1 day 2 ns"), pd.NaT, pd.NA],
        "period": pd.Period("2026-01", "M"),
        "interval": [pd.Interval(0, 1), pd.Interval(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02"))],
        "nullable ints": [pd.array([1, None], dtype=kind) for kind in ("Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32", "UInt64")],
        "nullable floats": pd.array([1.5, None], dtype="Float32"),
        "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.0]),
        "dtypes": [pd.CategoricalDtype(["a"], True), pd.StringDtype(), pd.Int64Dtype(), pd.DatetimeTZDtype("ns", "UTC"),
                   pd.PeriodDtype("D"), pd.IntervalDtype("int64"), pd.SparseDtype("f8"), pd.BooleanDtype()],
        "offsets": [pd.offsets.Day(2), pd.offsets.Hour(), pd.offsets.Minute(), pd.offsets.Second(), pd.offsets.Milli(),
                    pd.offsets.Micro(), pd.offsets.Nano(), pd.offsets.MonthEnd(), pd.offsets.MonthBegin(2), pd.offsets.QuarterEnd(),
                    pd.offsets.QuarterBegin(), pd.offsets.YearEnd(), pd.offsets.YearBegin(), pd.offsets.BusinessDay(),
                    pd.offsets.BMonthEnd(), pd.offsets.BMonthBegin(), pd.offsets.BQuarterEnd(), pd.offsets.BYearEnd(),
                    pd.offsets.Week(), pd.offsets.Week(weekday=2), pd.offsets.SemiMonthEnd(), pd.offsets.Easter(),
                    pd.offsets.WeekOfMonth(), pd.offsets.LastWeekOfMonth()],
        "date offset": [pd.DateOffset(months=1, days=2)],
        "business days": pd.date_range("2026-01-01", periods=5, freq="B"),
        "month ends": pd.date_range("2026-01-01", periods=5, freq="M"),
        "in a message": {"job": 7, "frame": frame, "row": frame.iloc[0]},
    }


def sparse_objects():
    import scipy.sparse as sp

    dense = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    made = {}
    for kind in ("bsr", "coo", "csc", "csr", "dia", "lil", "dok"):
        made[f"{kind} matrix"] = getattr(sp, f"{kind}_matrix")(dense)
        made[f"{kind} array"] = getattr(sp, f"{kind}_array")(dense)
    made["csr of bools"] = sp.csr_matrix(dense != 0)
    made["csr of complex numbers"] = sp.csr_matrix(dense.astype("c16"))
    made["csr empty"] = sp.csr_matrix((5, 5))
    made["csr sorted"] = sp.random(20, 20, 0.2, "csr", random_state=1)
    return made


def sklearn_data():
    random = np.random.RandomState(1)
    x = random.rand(40, 4)
    return x, (x[:, 0] > 0.5).astype(int), x @ [1.0, 2.0, 3.0, 4.0]


def fitted(estimators, unsupervised_too=True):
    """The estimators as made, and as trained on few rows."""
    from sklearn.base import is_regressor

    x, labels, numbers = sklearn_data()
    made = {}
    for estimator in estimators:
        name = type(estimator).__name__
        made[f"{name} as made"] = type(estimator)(**estimator.get_params(deep=False))
        made[name] = estimator.fit(x, numbers if is_regressor(estimator) else labels)
    return made


def sklearn_objects():
    from sklearn import calibration, cluster, compose, covariance, cross_decomposition, decomposition, discriminant_analysis, dummy
    from sklearn import feature_extraction, feature_selection, impute, isotonic, kernel_approximation, kernel_ridge, linear_model
    from sklearn import manifold, mixture, model_selection, multiclass, naive_bayes, neighbors, neural_network, pipeline
    from sklearn import preprocessing, random_projection, svm

    made = fitted([
        linear_model.LinearRegression(), linear_model.Ridge(), linear_model.RidgeCV(), linear_model.Lasso(), linear_model.LassoCV(cv=2),
        linear_model.ElasticNet(), linear_model.LogisticRegression(), linear_model.LogisticRegressionCV(cv=2), linear_model.Perceptron(),
        linear_model.BayesianRidge(), linear_model.HuberRegressor(), linear_model.Lars(), linear_model.OrthogonalMatchingPursuit(),
        linear_model.PoissonRegressor(), linear_model.TheilSenRegressor(max_subpopulation=10), linear_model.RidgeClassifier(),
        linear_model.PassiveAggressiveClassifier(), linear_model.ARDRegression(), linear_model.QuantileRegressor(solver="highs"),
        kernel_ridge.KernelRidge(), svm.SVC(), svm.SVC(probability=True), svm.SVR(), svm.LinearSVC(), svm.LinearSVR(), svm.NuSVC(),
        svm.OneClassSVM(), naive_bayes.GaussianNB(), naive_bayes.MultinomialNB(), naive_bayes.BernoulliNB(), naive_bayes.ComplementNB(),
        discriminant_analysis.LinearDiscriminantAnalysis(), discriminant_analysis.QuadraticDiscriminantAnalysis(),
        cluster.KMeans(2, n_init=1), cluster.MiniBatchKMeans(2, n_init=1), cluster.DBSCAN(), cluster.AgglomerativeClustering(),
        cluster.MeanShift(), cluster.Birch(), cluster.SpectralClustering(2), cluster.AffinityPropagation(), cluster.OPTICS(),
        mixture.GaussianMixture(2), mixture.BayesianGaussianMixture(n_components=2), decomposition.PCA(), decomposition.TruncatedSVD(2),
        decomposition.FastICA(2, whiten="unit-variance"), decomposition.NMF(2), decomposition.KernelPCA(2), decomposition.FactorAnalysis(2),
        decomposition.IncrementalPCA(2), cross_decomposition.PLSRegression(), covariance.EmpiricalCovariance(), covariance.LedoitWolf(),
        covariance.MinCovDet(), covariance.EllipticEnvelope(), preprocessing.StandardScaler(), preprocessing.MinMaxScaler(),
        preprocessing.RobustScaler(), preprocessing.MaxAbsScaler(), preprocessing.Normalizer(), preprocessing.PowerTransformer(),
        preprocessing.QuantileTransformer(n_quantiles=10), preprocessing.PolynomialFeatures(), preprocessing.OneHotEncoder(),
        preprocessing.OrdinalEncoder(), preprocessing.KBinsDiscretizer(3), preprocessing.SplineTransformer(), preprocessing.Binarizer(),
        preprocessing.FunctionTransformer(), impute.SimpleImputer(), impute.MissingIndicator(), feature_selection.VarianceThreshold(),
        feature_selection.SelectKBest(k=2), feature_selection.RFE(linear_model.LinearRegression()), dummy.DummyClassifier(), dummy.DummyRegressor(),
        kernel_approximation.RBFSampler(), kernel_approximation.Nystroem(n_components=5), random_projection.GaussianRandomProjection(2),
        manifold.MDS(max_iter=5, n_init=1), neighbors.KNeighborsClassifier(algorithm="brute"), neighbors.NearestNeighbors(algorithm="brute"),
        neighbors.NearestCentroid(), model_selection.GridSearchCV(linear_model.Ridge(), {"alpha": [1.0, 2.0]}, cv=2),
        multiclass.OneVsRestClassifier(linear_model.LogisticRegression()), calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2),
    ])
    x, labels, numbers = sklearn_data()
    made["IsotonicRegression"] = isotonic.IsotonicRegression().fit(x[:, 0], numbers)
    made["LabelEncoder"] = preprocessing.LabelEncoder().fit(["a", "b"])
    made["LabelBinarizer"] = preprocessing.LabelBinarizer().fit(["a", "b"])
    made["MultiLabelBinarizer"] = preprocessing.MultiLabelBinarizer().fit([["a"], ["a", "b"]])
    made["DictVectorizer"] = feature_extraction.DictVectorizer().fit([{"a": 1}, {"b": 2}])
    made["CountVectorizer"] = feature_extraction.text.CountVectorizer().fit(["a few words", "more words"])
    made["TfidfVectorizer"] = feature_extraction.text.TfidfVectorizer().fit(["a few words", "more words"])
    made["HashingVectorizer"] = feature_extraction.text.HashingVectorizer()
    made["Pipeline"] = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(x, labels)
    made["FeatureUnion"] = pipeline.make_union(preprocessing.StandardScaler(), decomposition.PCA(2)).fit(x)
    made["ColumnTransformer"] = compose.ColumnTransformer([("a", preprocessing.StandardScaler(), [0, 1])]).fit(x)
    made["TransformedTargetRegressor"] = compose.TransformedTargetRegressor(linear_model.Ridge()).fit(x, numbers)
    made["Bunch"] = __import__("sklearn.utils", fromlist=["Bunch"]).Bunch(a=1)
    return made


def sklearn_unchecked_objects():
    from sklearn import ensemble, linear_model, neighbors, neural_network, tree

    return fitted([
        tree.DecisionTreeClassifier(), tree.DecisionTreeRegressor(), tree.ExtraTreeClassifier(), ensemble.RandomForestClassifier(3),
        ensemble.RandomForestRegressor(3), ensemble.ExtraTreesClassifier(3), ensemble.GradientBoostingClassifier(n_estimators=3),
        ensemble.GradientBoostingRegressor(n_estimators=3), ensemble.AdaBoostClassifier(n_estimators=3), ensemble.BaggingClassifier(n_estimators=3),
        ensemble.IsolationForest(n_estimators=3), ensemble.HistGradientBoostingClassifier(max_iter=3),
        ensemble.HistGradientBoostingRegressor(max_iter=3), ensemble.VotingClassifier([("a", tree.DecisionTreeClassifier())]),
        neighbors.KNeighborsClassifier(algorithm="kd_tree"), neighbors.KNeighborsRegressor(algorithm="ball_tree"),
        neighbors.LocalOutlierFactor(), neighbors.KernelDensity(), neural_network.MLPClassifier(max_iter=5), neural_network.MLPRegressor(max_iter=5),
        linear_model.SGDClassifier(), linear_model.SGDRegressor(),
    ])


def torch_objects():
    import torch

    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3), torch.nn.LSTM(3, 2)
    )
    optimizer = torch.optim.Adam(model.parameters())
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128"
    made = {f"tensor {kind}": torch.zeros(3).to(getattr(torch, kind)) for kind in kinds.split()}
    made.update({
        "state of a model": model.state_dict(),
        "state of an optimizer": optimizer.state_dict(),
        "checkpoint": {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.5},
        "state of an embedding": torch.nn.Embedding(5, 2).state_dict(),
        "state of a transformer": torch.nn.TransformerEncoderLayer(4, 2, 8).state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "requires grad": torch.ones(2, requires_grad=True),
        "shared storage": [model[4].weight.detach(), model[4].weight.detach()[0]],
        "strided": torch.arange(6).reshape(2, 3).t(),
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 3),
        "types and sizes": [torch.float32, torch.int64, torch.Size([2, 3]), torch.device("cpu")],
        "in a message": {"job": 7, "batch": [torch.ones(2), torch.zeros(2)], "names": collections.OrderedDict(a=1)},
    })
    return made


def torch_saved(value):
    """The pickle inside the zip that torch.save writes."""
    import torch

    file = io.BytesIO()
    torch.save(value, file)
    with zipfile.ZipFile(file) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


def exception_objects():
    return {
        "plain": [ValueError("bad"), KeyError("k"), RuntimeError(), ZeroDivisionError("x")],
        "with a number": [OSError(2, "no such file"), FileNotFoundError(2, "no", "name"), PermissionError(13, "no")],
        "with a state": [with_attribute(ValueError("bad"))],
        "unicode": [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), UnicodeEncodeError("ascii", "\u20ac", 0, 1, "bad")],
        "import": ImportError("no", name="m", path="p"),
        "warnings": [UserWarning("w"), DeprecationWarning("d")],
        "syntax": SyntaxError("bad", ("file", 1, 2, "text")),
    }


def with_attribute(error):
    error.attribute = {"a": 1}
    return error


def zone_objects():
    import dateutil.tz
    import pytz

    zone = pytz.timezone("Europe/Berlin")
    return {
        "utc": pytz.UTC,
        "zones": [zone, zone.localize(datetime.datetime(2026, 1, 2)), pytz.timezone("Asia/Kolkata")],
        "fixed": pytz.FixedOffset(90),
        "dateutil": [dateutil.tz.tzutc(), dateutil.tz.tzoffset("X", 3600)],
        "times": [datetime.datetime(2026, 1, 2, tzinfo=pytz.UTC), datetime.datetime(2026, 1, 2, tzinfo=dateutil.tz.tzutc())],
    }


def outer_function(value):
    return value + 1


def made_quietly(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()
