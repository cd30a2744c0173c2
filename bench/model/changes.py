"""Tables of what became of each row, a column `label` of 0 and 1 and a column `t` of time: six in the likeness of Kamei et al., "A
large-scale empirical study of just-in-time quality assurance" (2013), made with dice, and real ones that scikit-learn ships.
"""

import numpy as np
import pandas
from sklearn import datasets

# Changes, and the share of them that brought a fault, of the six open projects of the study; the two largest are cut to 35,000.
PROJECTS = {
    "like bugzilla": (4_620, 0.367),
    "like columba": (4_455, 0.306),
    "like jdt": (35_386, 0.144),
    "like mozilla": (35_000, 0.052),
    "like platform": (35_000, 0.147),
    "like postgres": (20_431, 0.251),
}
# Share of the faulty changes that nobody traced back, and of the others that were blamed.
MISSED, BLAMED = 0.1, 0.02


def scaled(values):
    values = np.log1p(values)
    return (values - values.mean()) / values.std()


def columns(dice, rows):
    """The study's 14 measures: counts with heavy tails, which go together by size, place, age and the author's experience."""
    size, place, past, author = dice.normal(size=(4, rows))
    noise = lambda spread: spread * dice.normal(size=rows)
    count = lambda mean, *parts: np.floor(np.exp(mean + sum(parts)))
    nf = np.clip(count(0.4, 0.55 * size, noise(0.7)), 1, 500)
    nd = np.clip(np.round(nf**0.7 * np.exp(noise(0.2))), 1, nf)
    lt = count(5, 0.3 * place, noise(1.2)) * (dice.random(rows) > 0.08)
    exp = count(5, 1.4 * author)
    return {
        "ns": np.clip(np.round(nd**0.3), 1, None),
        "nd": nd,
        "nf": nf,
        "entropy": np.where(nf > 1, np.log2(nf) * dice.beta(5, 2, rows), 0),
        "la": count(2.8, 1.4 * size, noise(0.7)),
        "ld": count(1.4, 1.1 * size, noise(1.2)) * (dice.random(rows) > 0.15),
        "lt": lt,
        "fix": (dice.random(rows) < 0.15 + 0.2 / (1 + np.exp(-place))).astype(float),
        "ndev": count(0.9, 0.8 * place, 0.3 * np.log(nf), noise(0.3)),
        "age": np.exp(2 + 1.8 * past) * (dice.random(rows) > 0.05),
        "nuc": count(0.8, 0.7 * place, 0.7 * np.log(nf), noise(0.4)),
        "exp": exp,
        "rexp": exp**0.7 * np.exp(noise(0.5)),
        "sexp": np.floor(exp * dice.beta(2, 3, rows)),
    }


def project(dice, rows, rate):
    """Risk rises with size, spread and hands, falls with age and experience, in steps and together in places; the rate of faults
    wanders over the years, and the labels are those of a tracer that errs."""
    found = columns(dice, rows)
    of = {name: scaled(values) for name, values in found.items()}
    strength = lambda: dice.uniform(0.5, 1.5)
    line = (
        0.7 * strength() * of["la"] + 0.25 * strength() * of["nf"] + 0.2 * strength() * found["entropy"] + 0.15 * strength() * of["ld"]
        + 0.3 * strength() * of["ndev"] + 0.3 * strength() * found["fix"] - 0.2 * strength() * of["exp"] - 0.15 * strength() * of["age"]
    )  # fmt: skip
    steps = 0.4 * strength() * (found["lt"] > 300) + 0.4 * strength() * (found["nf"] > 4) - 0.3 * strength() * (found["age"] > 30)
    pairs = (
        0.5 * strength() * (of["la"] > 0.5) * (of["exp"] < 0) + 0.4 * strength() * (found["ndev"] > 4) * found["fix"]
        - 0.25 * strength() * of["age"] * (of["nuc"] > 0)
    )  # fmt: skip
    time = np.linspace(0, 1, rows)
    years = sum(dice.normal(scale=0.15 / turn) * np.sin(np.pi * turn * time + dice.uniform(0, np.pi)) for turn in (1, 2, 3))
    risk = 1.25 * (line + steps + pairs) / (line + steps + pairs).std() + years
    # By bisection the bias that gives the rate, once labels were missed and blamed.
    low, high, true_rate = -20.0, 20.0, (rate - BLAMED) / (1 - MISSED - BLAMED)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if (1 / (1 + np.exp(-risk - middle))).mean() > true_rate else (middle, high)
    faulty = dice.random(rows) < 1 / (1 + np.exp(-risk - low))
    label = np.where(faulty, dice.random(rows) >= MISSED, dice.random(rows) < BLAMED)
    return pandas.DataFrame(found).assign(t=np.arange(rows), label=label.astype(int))


def shipped(dice):
    """Real tables in an order that dice throw, since nothing is known of their time; of digits one label in twenty is wrong."""
    cancer, wine, diabetes, digits = (load() for load in (datasets.load_breast_cancer, datasets.load_wine, datasets.load_diabetes, datasets.load_digits))
    flipped = lambda label: label ^ (dice.random(len(label)) < 0.05)
    for name, values, label in [
        ("breast cancer", cancer.data, cancer.target == 0),
        ("wine", wine.data, wine.target == 1),
        ("diabetes", diabetes.data, diabetes.target > 200),
        ("digit 8, noise", digits.data, flipped(digits.target == 8)),
        ("odd digits, noise", digits.data, flipped(digits.target % 2 == 1)),
    ]:
        order = dice.permutation(len(label))
        frame = pandas.DataFrame(values[order], columns=[f"c{column}" for column in range(values.shape[1])])
        yield name, frame.assign(t=np.arange(len(label)), label=label[order].astype(int))


def changes(seed):
    """Every table of a throw of the dice, by name."""
    tables = {name: project(np.random.default_rng([seed, number]), *of) for number, (name, of) in enumerate(PROJECTS.items())}
    return tables | dict(shipped(np.random.default_rng([seed, len(PROJECTS)])))
