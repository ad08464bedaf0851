"""Real tables by `wgrad train` and by scikit-learn's MLP with the same layers: mean of several splits of each table.

    python benches/tables.py target/release/wgrad

It needs scikit-learn, whose package brings the tables, and pandas. Test rows are a quarter, the same for both; wgrad keeps a
tenth of the others for validation, and the weights that validate best; scikit-learn trains on all of them.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SPLITS = 5
HIDDEN = (64, 32)
TABLES = {
    "iris": (load_iris, False),
    "wine": (load_wine, False),
    "breast cancer": (load_breast_cancer, False),
    "diabetes": (load_diabetes, True),
}


def by_wgrad(program, folder, train, test, is_number, seed):
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    run = folder / "run"
    words = [program, "train", "--data", folder / "train.csv", "--target", "target", "--run", run, "--json"]
    for key in (f"seed={seed}", "validation=0.1", f"hidden={list(HIDDEN)}"):
        words += ["--set", key]
    subprocess.run(words, check=True, capture_output=True)
    judged = [program, "eval", run / "model.safetensors", "--data", folder / "test.csv", "--json"]
    figures = json.loads(subprocess.run(judged, check=True, capture_output=True).stdout)["figures"]
    return figures["r2" if is_number else "accuracy"]


def by_sklearn(train, test, is_number, seed):
    kind = MLPRegressor if is_number else MLPClassifier
    model = make_pipeline(StandardScaler(), kind(hidden_layer_sizes=HIDDEN, random_state=seed, max_iter=1000))
    model.fit(train.drop(columns="target"), train["target"])
    return model.score(test.drop(columns="target"), test["target"])


def main():
    warnings.simplefilter("ignore")
    program = pathlib.Path(sys.argv[1]).resolve()
    for name, (load, is_number) in TABLES.items():
        table = load(as_frame=True).frame
        if not is_number:
            table["target"] = table["target"].map(lambda label: f"class {label}")
        ours, theirs = [], []
        for seed in range(SPLITS):
            classes = None if is_number else table["target"]
            train, test = train_test_split(table, test_size=0.25, random_state=seed, stratify=classes)
            with tempfile.TemporaryDirectory() as folder:
                ours.append(by_wgrad(program, pathlib.Path(folder), train, test, is_number, seed))
            theirs.append(by_sklearn(train, test, is_number, seed))
        figure = "R2" if is_number else "accuracy"
        mean = lambda values: sum(values) / len(values)
        print(f"{name}: {figure} wgrad {mean(ours):.4f}, scikit-learn {mean(theirs):.4f}, mean of {SPLITS} splits", flush=True)


main()
