"""Finds the outliers of a folder of tables with PyOD's detectors, as it recommends them: `anomaly.py FOLDER`.

Writes `found.json`: for each detector and table the ROC AUC, the peers' from here and ours from the files beside the tables.
With `--make SEEDS` it makes the tables instead.
"""

import json

import numpy as np
import pandas
from sklearn.metrics import roc_auc_score
from stages import main
from tables import tables


def peers(seed):
    from pyod.models.cblof import CBLOF
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.inne import INNE
    from pyod.models.knn import KNN
    from pyod.models.mcd import MCD

    return {
        "IForest": IForest(random_state=seed),
        "INNE": INNE(random_state=seed),
        "KNN": KNN(),
        "CBLOF": CBLOF(random_state=seed),
        "MCD": MCD(random_state=seed),
        "HBOS": HBOS(),
        "ECOD": ECOD(),
    }


def make(folder, seeds):
    folder.mkdir(parents=True)
    index = []
    for seed in range(seeds):
        for number, (name, (values, outlier)) in enumerate(tables(seed).items()):
            file = f"{seed}-{number:02}"
            frame = pandas.DataFrame(values, columns=[f"c{column}" for column in range(values.shape[1])])
            frame.to_parquet(folder / f"{file}.parquet", index=False)
            index.append({"name": name, "seed": seed, "file": file, "outliers": np.flatnonzero(outlier).tolist()})
    (folder / "index.json").write_text(json.dumps(index))


def judge(folder):
    found = {}
    for table in json.loads((folder / "index.json").read_text()):
        values = pandas.read_parquet(folder / f"{table['file']}.parquet").to_numpy()
        outlier = np.zeros(len(values))
        outlier[table["outliers"]] = 1
        scores = {"ours": pandas.read_parquet(folder / f"{table['file']}-scores.parquet")["score"].to_numpy()}
        # PyOD's detectors want columns of one size.
        values = (values - values.mean(0)) / np.where(values.std(0) > 0, values.std(0), 1)
        for name, detector in peers(table["seed"]).items():
            try:
                scores[name] = detector.fit(values).decision_scores_
            except ValueError:
                # CBLOF refuses tables of which it finds no large and small clusters; no order is worth one half.
                scores[name] = np.zeros(len(values))
        for name, score in scores.items():
            found.setdefault(name, {}).setdefault(table["name"], []).append(roc_auc_score(outlier, score))
    means = {name: {table: float(np.mean(values)) for table, values in by_table.items()} for name, by_table in found.items()}
    (folder / "found.json").write_text(json.dumps(means))


if __name__ == "__main__":
    main(make, judge)
