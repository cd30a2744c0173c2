"""What became of the newest 30% of each table, by regression and LightGBM as one builds them in an afternoon: `outcomes.py FOLDER`.

Writes `found.json`: for each way and table the ROC AUC, the average precision and the calibration error of each throw of the
dice, the peers' from here and ours from the files beside the tables. With `--make SEEDS` it makes the tables instead.
"""

import json

import numpy as np
import pandas
from sklearn.metrics import average_precision_score, roc_auc_score
from stages import main

OLDEST = 0.7


def regression(before, labels, later, seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    logarithms = FunctionTransformer(lambda values: np.sign(values) * np.log1p(np.abs(values)))
    return make_pipeline(logarithms, StandardScaler(), LogisticRegression(max_iter=1000)).fit(before, labels).predict_proba(later)[:, 1]


def boosted(before, labels, later, seed, **settings):
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(random_state=seed, verbose=-1, n_jobs=2, **settings)
    return model.fit(before, labels).predict_proba(later)[:, 1]


PEERS = {
    "regression": regression,
    "LightGBM": boosted,
    "LightGBM, slow": lambda *given: boosted(*given, n_estimators=200, learning_rate=0.05),
}


def calibration_error(probability, label):
    """Mean difference between probability and rate over ten bins of as many rows."""
    excess = (probability - label)[np.argsort(-probability, kind="stable")]
    return float(sum(abs(part.sum()) for part in np.array_split(excess, 10)) / len(excess))


def perfect(probability, seed, throws=500):
    """The calibration error of one who always says the true probability: the mean of what chance makes of it, and the 95% of it."""
    dice = np.random.default_rng(seed)
    errors = [calibration_error(probability, dice.random(len(probability)) < probability) for _ in range(throws)]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def figures(probability, label):
    return [float(roc_auc_score(label, probability)), float(average_precision_score(label, probability)), calibration_error(probability, label)]


def make(folder, seeds):
    from changes import changes

    folder.mkdir(parents=True)
    index = []
    for seed in range(seeds):
        for number, (name, table) in enumerate(changes(seed).items()):
            file = f"{seed}-{number:02}"
            edge = int(OLDEST * len(table))
            table[:edge].to_parquet(folder / f"{file}-train.parquet", index=False)
            table[edge:].to_parquet(folder / f"{file}-test.parquet", index=False)
            index.append({"name": name, "seed": seed, "file": file})
    (folder / "index.json").write_text(json.dumps(index))


def judge(folder):
    found = {}
    for table in json.loads((folder / "index.json").read_text()):
        train, test = (pandas.read_parquet(folder / f"{table['file']}-{part}.parquet") for part in ("train", "test"))
        inputs = [column for column in train if column not in ("t", "label")]
        labels, truth = train["label"].to_numpy(), test["label"].to_numpy()
        scores = {"ours": pandas.read_parquet(folder / f"{table['file']}-scores.parquet")["score"].to_numpy()}
        for name, peer in PEERS.items():
            scores[name] = peer(train[inputs].to_numpy(), labels, test[inputs].to_numpy(), table["seed"])
        for name, probability in scores.items():
            found.setdefault(name, {}).setdefault(table["name"], []).append(figures(probability, truth))
        found.setdefault("perfect", {}).setdefault(table["name"], []).append(perfect(scores["ours"], table["seed"]))
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(make, judge)
