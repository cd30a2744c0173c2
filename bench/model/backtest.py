"""How regression, LightGBM and words would have done on a features run, slice after slice as in `prowl-trainer backtest`:
`backtest.py RUN FOLDS`, where RUN is the folder of a run. Prints JSON, the means of the slices: of the risk ROC AUC, share found in
the riskiest 10% and calibration error, of the category macro F1 and accuracy.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import pandas
import pyarrow.parquet
from outcomes import PEERS, calibration_error
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline

# What declares the kind: the type of a conventional commit, or a revert by GitHub's button.
DECLARED = r"^\s*(?:[\w/-]{1,16}(?:\([^)]{0,64}\))?!?:\s*|[Rr]evert \")"
# As `prowl-trainer` reads of a run: the newest rows, and no features that are as the pull request ended.
NEWEST, UNREAD = 200_000, {"process", "repository"}


def read(run):
    """The rows in the order of time, and the features that are not read."""
    parts = sorted(run.glob("part-*.parquet"))
    rows = pandas.concat([pandas.read_parquet(part) for part in parts])
    features = json.loads(pyarrow.parquet.read_metadata(parts[0]).metadata[b"features"])
    unread = {feature["name"] for feature in features if feature["group"] in UNREAD}
    return rows.sort_values(["created_at", "repository", "number"], ignore_index=True).tail(NEWEST).reset_index(drop=True), unread


def slices(rows, folds):
    """The rows before each slice, and those of it: five of the second half of the time."""
    edges = [len(rows) // 2 + (len(rows) - len(rows) // 2) * fold // folds for fold in range(folds + 1)]
    for begin, end in zip(edges, edges[1:]):
        yield rows[:begin], rows[begin:end]


def known(rows, moment, maturity):
    """The rows whose outcome was known just before a moment, and their outcomes; a revert counts once it was known, a stand once it
    has stood."""
    reverted = rows["reverted_at"] < moment
    mature = rows["reverted"].notna() & (rows["merged_at"] + maturity <= moment)
    return rows[reverted | mature], reverted[reverted | mature].to_numpy(), mature[reverted | mature].to_numpy()


def risks(rows, unread, folds, maturity):
    features = [name for name in rows.columns[rows.dtypes == np.float32] if name not in unread]
    found = {name: [] for name in PEERS}
    for before, later in slices(rows, folds):
        train, labels, _ = known(before, later["created_at"].iloc[0], maturity)
        test, truth, mature = known(later, rows["created_at"].iloc[-1], maturity)
        test, truth = test[mature], truth[mature]
        if not (0 < labels.sum() < len(labels) and 0 < truth.sum() < len(truth)):
            continue
        whole = SimpleImputer(strategy="median", keep_empty_features=True).fit(train[features])
        for name, peer in PEERS.items():
            # Trees take what is unknown as it is.
            inputs = (whole.transform(part[features]) if name == "regression" else part[features].to_numpy() for part in (train, test))
            before_values, later_values = inputs
            probability = peer(before_values, labels, later_values, 0)
            riskiest = np.argsort(-probability, kind="stable")[: len(truth) // 10]
            found[name].append([roc_auc_score(truth, probability), truth[riskiest].sum() / truth.sum(), calibration_error(probability, truth)])
    return {name: np.mean(figures, axis=0).tolist() for name, figures in found.items() if figures}


def kinds(rows, folds):
    if "title" in rows:
        text = rows["title"].fillna("").str.replace(DECLARED, "", regex=True)
    else:
        text = rows["text_tokens"].map(lambda tokens: " ".join(map(str, tokens)))
    found = []
    for before, later in slices(rows.assign(text=text), folds):
        before, later = before[before["category"].notna()], later[later["category"].notna()]
        if before["category"].nunique() < 2 or later.empty:
            continue
        words = make_pipeline(TfidfVectorizer(token_pattern=r"\S+", min_df=2), LogisticRegression(C=10, max_iter=300))
        predicted = words.fit(before["text"], before["category"]).predict(later["text"])
        found.append([f1_score(later["category"], predicted, average="macro"), accuracy_score(later["category"], predicted)])
    return {"TF-IDF and regression": np.mean(found, axis=0).tolist()} if found else {}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    run, folds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    details = json.loads((run / "manifest.json").read_text())["details"]
    (rows, unread), maturity = read(run), pandas.Timedelta(days=details.get("label_maturity_days", 30))
    print(json.dumps({"risk": risks(rows, unread, folds, maturity), "category": kinds(rows, folds)}))
