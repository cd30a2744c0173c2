"""Tables with known outliers, made like those of the ODDS collection from data that scikit-learn ships and from dice.

Each is a matrix and a vector that is 1 for outliers. No program is told which rows these are.
"""

import numpy as np
from sklearn import datasets, decomposition, mixture


def rarer(values, outlier, count, dice):
    """All usual rows and `count` of the outliers, in any order."""
    kept = np.concatenate([np.flatnonzero(~outlier), dice.choice(np.flatnonzero(outlier), count, replace=False)])
    kept = dice.permutation(kept)
    return values[kept], outlier[kept].astype(int)


def beside(usual, odd):
    return np.vstack([usual, odd]), np.r_[np.zeros(len(usual)), np.ones(len(odd))].astype(int)


def shipped(dice):
    """Classes of real data, one of them made rare."""
    cancer, wine, iris, digits = (load() for load in (datasets.load_breast_cancer, datasets.load_wine, datasets.load_iris, datasets.load_digits))
    tables = {"wbc": rarer(cancer.data, cancer.target == 0, 21, dice), "breast, 37% odd": (cancer.data, (cancer.target == 0).astype(int))}
    for kind in range(3):
        tables[f"wine {kind}"] = rarer(wine.data, wine.target == kind, 10, dice)
        tables[f"iris {kind}"] = rarer(iris.data, iris.target == kind, 8, dice)
    for digit in range(10):
        tables[f"digits, {digit} rare"] = rarer(digits.data, digits.target == digit, 50, dice)
    for digit, other in [(0, 6), (3, 8), (1, 7), (4, 9), (5, 3), (2, 1)]:
        both = np.isin(digits.target, (digit, other))
        tables[f"digit {digit}, {other} rare"] = rarer(digits.data[both], digits.target[both] == other, 18, dice)
    # As "letter": two things beside each other, of which an outlier's second is of another kind.
    small = decomposition.PCA(16, random_state=0).fit_transform(digits.data)
    for kinds in ([0, 3, 7], [1, 4, 8], [2, 5, 9]):
        known, other = small[np.isin(digits.target, kinds)], small[~np.isin(digits.target, kinds)]
        draw = lambda rows, count: rows[dice.integers(len(rows), size=count)]
        pairs = lambda second, count: np.round(np.hstack([draw(known, count), draw(second, count)]) / 8)
        tables[f"pairs of {kinds}"] = beside(pairs(known, 1500), pairs(other, 100))
    return tables


def kinds_of_outliers(dice, seed):
    """The four kinds of Han et al., "ADBench" (2022), planted among rows drawn from a mixture that was fitted to real ones."""
    cancer = datasets.load_breast_cancer()
    digits = datasets.load_digits().data
    sources = {
        "breast": cancer.data[cancer.target == 1],
        "wine": datasets.load_wine().data,
        "diabetes": datasets.load_diabetes().data,
        "digits": digits[:, digits.std(0) > 1],
    }
    tables = {}
    for name, values in sources.items():
        values = (values - values.mean(0)) / values.std(0)
        rows, columns = values.shape
        count, parts = max(10, rows // 15), min(5, max(1, rows // 100))
        fitted = lambda: mixture.GaussianMixture(parts, reg_covar=1e-2, random_state=seed).fit(values)
        usual = fitted().sample(rows)[0]
        wider = fitted()
        wider.covariances_ = wider.covariances_ * 2.5
        tables[f"{name}, local"] = beside(usual, wider.sample(count)[0])
        tables[f"{name}, dependency"] = beside(usual, np.column_stack([dice.choice(column, count) for column in usual.T]))
        centre = wider.means_[dice.integers(parts)] + dice.normal(size=columns) * 1.2
        tables[f"{name}, cluster"] = beside(usual, centre + dice.normal(size=(count, columns)) * 0.3)
    return tables


def correlated(dice, rows, columns, correlation):
    factor = np.linalg.cholesky(correlation * np.ones((columns, columns)) + (1 - correlation) * np.eye(columns))
    return dice.normal(size=(rows, columns)) @ factor.T


def vowels(dice):
    """Smooth ways through few dimensions; an outlier is on the way of another speaker."""

    def speaker():
        first, second, away = dice.normal(size=(3, 12)), dice.normal(size=(12, 12)) * 0.6, dice.normal(size=12) * 0.35
        words = []
        for _ in range(16):
            time = np.linspace(0, 1, dice.integers(15, 30))[:, None]
            begin, end, bend = dice.normal(size=3), dice.normal(size=3), dice.normal(size=3) * 0.5
            way = begin + (end - begin) * time + bend * np.sin(3 * time)
            noise = dice.normal(size=(len(time), 12)) * 0.08 + dice.normal(size=12) * 0.15
            words.append(np.tanh(way @ first) @ second + away + noise)
        return np.vstack(words)

    usual = np.vstack([speaker() for _ in range(4)])
    return beside(usual, dice.permutation(speaker())[:50])


def glass(dice):
    """A few clusters of different size and density, with tails; one small one is odd."""
    usual = np.vstack([
        dice.normal(size=9) * centre * 0.6 + dice.standard_t(4, size=(rows, 9)) * spread * dice.uniform(0.3, 1.5, 9)
        for rows, centre, spread in [(70, 1, 0.3), (76, 1, 0.4), (17, 1, 0.35), (13, 2.5, 1.0), (29, 2, 0.8)]
    ])
    odd = dice.normal(size=9) * 0.7 + np.r_[1.5, 1.5, np.zeros(7)] + dice.normal(size=(9, 9)) * 0.5
    values, outlier = beside(usual, odd)
    return np.maximum(values, -0.8), outlier


def ionosphere(dice):
    """Decaying waves; noise, gaps and faint waves are odd, and a third of all."""
    step = np.arange(17)
    turns, decay = dice.normal(0.15, 0.12, (225, 1)), np.exp(-np.abs(dice.normal(0.03, 0.04, (225, 1))) * step)
    waves = np.empty((225, 34))
    waves[:, 0::2] = decay * np.cos(turns * step) + dice.normal(size=(225, 17)) * 0.12
    waves[:, 1::2] = decay * np.sin(turns * step) + dice.normal(size=(225, 17)) * 0.12
    odd = dice.uniform(-1, 1, (126, 34)) * dice.uniform(0.2, 1, (126, 1))
    odd[dice.random(odd.shape) < 0.25] = 0
    full = dice.random(126) < 0.3
    odd[full] = np.sign(dice.normal(size=(full.sum(), 34))) * (dice.random((full.sum(), 34)) < 0.5)
    faint = dice.random(126) < 0.25
    odd[faint] = waves[dice.integers(225, size=faint.sum())] * 0.6 + dice.normal(size=(faint.sum(), 34)) * 0.3
    values, outlier = beside(waves, odd)
    return np.clip(values, -1, 1), outlier


def satellite(dice, usual, odd):
    """Four bands of nine neighbouring pixels; kinds of ground as (means, rows, variance)."""

    def ground(means, rows, variance):
        shape = [[1, 0.8, 0.2, 0.1], [0.8, 1, 0.2, 0.1], [0.2, 0.2, 1, 0.7], [0.1, 0.1, 0.7, 1]]
        base = np.array(means) + dice.normal(size=(rows, 4)) @ np.linalg.cholesky(variance * np.array(shape)).T
        return (base[:, None, :] + dice.normal(size=(rows, 9, 4)) * 3.5).reshape(rows, 36).round()

    return beside(np.vstack([ground(*kind) for kind in usual]), np.vstack([ground(*kind) for kind in odd]))


def shuttle(dice):
    """One kind with sums and differences of columns, and others, each close together."""

    def others(values, shares, rows):
        return dice.choice(values, rows, p=shares) + dice.integers(-2, 3, rows)

    def table(first, second, third, rows):
        rare = dice.normal(size=rows).round() * (dice.random(rows) < 0.3) * dice.choice([1, 50], rows, p=[0.97, 0.03])
        sums = [second - first, second - third]
        sums = [value + dice.integers(-1, 2, rows) for value in sums]
        tails = [dice.standard_t(shape, rows).round() for shape in (1.5, 1.2)]
        return np.column_stack([first, rare, second, tails[0], third, tails[1], *sums, sums[1] - sums[0]])

    usual = table(dice.normal(45, 8, 4640).round(), dice.normal(80, 3, 4640).round(), dice.normal(30, 12, 4640).round(), 4640)
    odd = table(
        others([55, 60, 38], [0.7, 0.2, 0.1], 360), others([96, 84, 77], [0.5, 0.3, 0.2], 360),
        others([52, -4, 10], [0.6, 0.3, 0.1], 360), 360,
    )  # fmt: skip
    return beside(usual, odd)


def pima(dice):
    """Two kinds that overlap, with skew and zeros for what is missing."""
    values = correlated(dice, 768, 8, 0.25)
    odd = np.arange(768) >= 500
    values[odd] = 1.1 * (values[odd] + 0.9 * np.array([0.5, 1.1, 0.2, 0.2, 0.3, 0.7, 0.4, 0.6]))
    values[:, [0, 4, 6, 7]] = np.exp(0.8 * values[:, [0, 4, 6, 7]])
    for column, share, zero in [(3, 0.3, -2.5), (4, 0.48, 0), (2, 0.05, -6)]:
        values[dice.random(768) < share, column] = zero
    return values, odd.astype(int)


def cardio(dice):
    """Several kinds with skew; outliers are farther out in some columns."""
    kinds = dice.normal(size=(6, 21)) * np.r_[np.full(8, 1.2), np.ones(13)]
    draw = lambda rows: correlated(dice, rows, 21, 0.3) * 0.6 + kinds[dice.integers(6, size=rows)]
    push = dice.uniform(0.5, 2, (176, 1)) * (np.arange(21) < 9) * np.where(dice.random(21) < 0.5, 1.4, -1.4)
    values, outlier = beside(draw(1655), draw(176) + push)
    values[:, :4] = np.maximum(values[:, :4], 0)
    values[:, 4:8] = np.exp(0.7 * values[:, 4:8])
    return values, outlier


def tables(seed):
    """All of them by name, for one throw of the dice."""
    dice = np.random.default_rng(seed)
    red, cotton, grey, damp = [63, 95, 108, 89], [48, 40, 114, 118], [87, 105, 111, 87], [77, 91, 96, 75]
    stubble, wet = [60, 62, 83, 70], [69, 77, 82, 64]
    return {
        **shipped(dice),
        "like vowels": vowels(dice),
        "like glass": glass(dice),
        "like ionosphere": ionosphere(dice),
        "like satellite": satellite(dice, [(red, 511, 40), (grey, 452, 30), (wet, 502, 40)], [(cotton, 234, 200), (damp, 208, 40), (stubble, 235, 120)]),
        "like satimage-2": satellite(dice, [(red, 500, 40), (grey, 450, 30), (wet, 500, 40), (damp, 200, 40), (stubble, 230, 120)], [(cotton, 24, 200)]),
        "like shuttle": shuttle(dice),
        "like pima": pima(dice),
        "like cardio": cardio(dice),
        **kinds_of_outliers(dice, seed),
    }
