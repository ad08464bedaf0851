"""Writes sklearn.json: what scikit-learn says of outputs and targets, odd ones among them. Made with scikit-learn 1.9.1.

    python3 sklearn_fixture.py
"""

import json
import math
import pathlib
import warnings

import numpy as np
from sklearn import metrics
from sklearn.preprocessing import label_binarize

warnings.simplefilter("ignore")
rng = np.random.default_rng(7)


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def scores(truth, predicted, classes):
    """Precision, recall, F1 and F2 of each class and averaged, with all classes known."""
    labels = list(range(classes))
    out = {"accuracy": number(metrics.accuracy_score(truth, predicted))}
    out["confusion"] = metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
    for average in ["macro", "micro", "weighted", None]:
        for beta in [1.0, 2.0, 0.5]:
            p, r, f, support = metrics.precision_recall_fscore_support(
                truth, predicted, beta=beta, labels=labels, average=average, zero_division=0)
            values = {"precision": p, "recall": r, f"f{beta:g}": f}
            for name, value in values.items():
                key = f"{name}_{average or 'per_class'}"
                out[key] = [number(v) for v in value] if average is None else number(value)
    return out


def one_vs_rest(truth, probabilities):
    """Means over all classes, also where one does not occur: scikit-learn says NaN of that, and 0 of its precision."""
    classes = probabilities.shape[1]
    if classes == 2:
        scores = probabilities[:, 1]
        return number(metrics.roc_auc_score(truth, scores)), number(metrics.average_precision_score(truth, scores))
    binary = label_binarize(truth, classes=range(classes))
    auc = np.mean([metrics.roc_auc_score(binary[:, c], probabilities[:, c]) for c in range(classes)])
    precision = np.mean([metrics.average_precision_score(binary[:, c], probabilities[:, c]) for c in range(classes)])
    if len(set(truth)) == classes:
        assert auc == metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
        assert precision == metrics.average_precision_score(truth, probabilities)
    return number(auc), number(precision)


def many(name, logits, truth):
    """Rows of logits, one for each class."""
    logits, truth = np.asarray(logits, np.float32), np.asarray(truth)
    classes = logits.shape[1]
    exponentials = np.exp(logits.astype(float) - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    case = {"name": name, "shape": list(logits.shape), "output": logits.ravel().tolist(), "target": truth.tolist()}
    case |= scores(truth, logits.argmax(1), classes)
    case["roc_auc"], case["average_precision"] = one_vs_rest(truth, probabilities)
    if classes > 2:
        case["top2"] = number(metrics.top_k_accuracy_score(truth, logits, k=2, labels=range(classes)))
    return case


def single(name, logits, truth, threshold=0.5):
    """A logit a row: whether it is of class 1."""
    logits, truth = np.asarray(logits, np.float32), np.asarray(truth)
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    case = {"name": name, "shape": [len(truth), 1], "output": logits.tolist(), "target": truth.tolist()}
    case["threshold"] = threshold
    case |= scores(truth, (probabilities > threshold).astype(int), 2)
    case["roc_auc"] = number(metrics.roc_auc_score(truth, logits))
    case["average_precision"] = number(metrics.average_precision_score(truth, logits))
    return case


def regression(name, output, target):
    output, target = np.asarray(output, np.float32), np.asarray(target, np.float32)
    case = {"name": name, "shape": list(target.shape), "output": output.ravel().tolist()}
    case |= {"target": target.ravel().tolist()}
    x, y = output.astype(float), target.astype(float)
    case["mae"] = number(metrics.mean_absolute_error(y, x))
    case["rmse"] = number(metrics.root_mean_squared_error(y, x))
    case["r2"] = number(metrics.r2_score(y, x))
    return case


def classes():
    logits, truth = rng.normal(size=(23, 4)), rng.integers(4, size=23)
    # Within a row scikit-learn takes the last of equal scores for the largest in top-k, so no row here has equal ones.
    tied = rng.normal(size=(7, 3))[rng.integers(7, size=29)]
    hot = np.eye(3) + [0.2, 0.1, 0]
    without = rng.integers(2, size=17)
    return [
        many("four classes", logits, truth),
        many("ties between rows", tied, rng.integers(3, size=29)),
        many("a class absent from the targets", rng.normal(size=(17, 3)), without),
        many("a class never predicted", rng.normal(size=(19, 3)) - [0, 0, 9], rng.integers(3, size=19)),
        many("a class neither there nor predicted", rng.normal(size=(17, 3)) - [0, 0, 9], without),
        many("one sample", [[0.5, -1, 2]], [2]),
        many("one sample, wrong", [[0.5, -1, 2]], [1]),
        many("all wrong", hot[[1, 2, 0, 1, 2, 0]], [0, 1, 2, 0, 1, 2]),
        many("all right", hot[[0, 1, 2, 0, 1]], [0, 1, 2, 0, 1]),
        many("two columns", rng.normal(size=(15, 2)), rng.integers(2, size=15)),
        single("a logit", rng.normal(size=21), rng.integers(2, size=21)),
        single("a logit, another threshold", rng.normal(size=21), rng.integers(2, size=21), 0.3),
        single("a logit with ties", np.round(rng.normal(size=31)), rng.integers(2, size=31)),
        single("a logit, all the same", np.zeros(6), [0, 1, 1, 0, 1, 0]),
        single("far logits", [40, 50, 60, 45, -200, 55], [0, 1, 1, 0, 0, 0]),
        single("one class in the targets", rng.normal(size=5), [1, 1, 1, 1, 1]),
        single("no positive target", rng.normal(size=5), [0, 0, 0, 0, 0]),
        single("a logit, one sample", [0.7], [1]),
    ]


def numbers():
    target = rng.normal(size=37) * 3
    return [
        regression("numbers", target + rng.normal(size=37), target),
        regression("large numbers that differ little", 1e6 + rng.normal(size=40), 1e6 + rng.normal(size=40)),
        regression("worse than the mean", -target, target),
        regression("perfect", target, target),
        regression("constant targets", target, np.full(37, 0.1)),
        regression("constant targets, all right", np.full(13, 0.1), np.full(13, 0.1)),
        regression("one sample", [1.5], [2.0]),
        regression("two columns", rng.normal(size=(11, 2)), rng.normal(size=(11, 2)) * [1, 5]),
    ]


text = json.dumps({"classes": classes(), "numbers": numbers()}, indent=None, separators=(",", ":"))
text = text.replace('{"name"', '\n{"name"')
pathlib.Path(__file__).with_name("sklearn.json").write_text(text + "\n")
