"""quality.py - a prior of ability for each (model, family) out of published figures.

Used by tools/catalog.py. One number t per model, N(0, 1) over all models, is fitted to every
benchmark at once, for tables of different years rank against different crowds:

    figure = a_b + k_b * t_m + noise_b        (percentages as logits, Elo as it is)

by alternating least squares. A family's offset is the mean of what its benchmarks say beyond
that. Price and release date stand in where there is no figure, and are what a model with few of
them is drawn towards. Standard library only, no clock, no randomness: the same tables give the
same numbers.
"""
import collections
import math
import re

FAMILIES = ("knowledge", "math", "code", "reasoning", "instruction", "tools", "longctx",
            "vision", "multilingual", "chat")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
ROUNDS = 20             # of alternating; the last ones move t by less than 0.01
FIGURES_MIN = 5         # models a benchmark needs before it says anything
CHECKED_MIN = 10        # and to be left out and predicted by --check
NOISE = 0.31            # measured: the usual noise of one figure, in t
REACH = 3.0             # beyond it a figure says no more, in t
LIMIT = 2.0             # what one figure may say beyond t, in t
OFFSET_DRAW = 4         # figures of a family that weigh as much as "no offset"
WIDTH_PRICE = 0.6       # measured: 0.40 on the models it was fitted on
WIDTH_ELSEWHERE = 0.4   # measured: 0.2 (chat, tools ...) to 0.4 (math, instruction)
WIDTH_LEAST = 0.15      # a judgement: a leaderboard is not the user's traffic
MAKER_WEIGHT = 0.5      # of what a maker says of its own model
EFFORT_DRAW = 4         # figures at two efforts that weigh as much as all models' median

# A maker's figure counts nothing where somebody else measured the same benchmark.
MEASURED = {"gpqa": "GPQA Diamond (AA)", "humanityslastexam": "Humanity's Last Exam (AA)",
            "hle": "Humanity's Last Exam (AA)", "mmmu": "MMMU (val)",
            "mmmupro": "MMMU-Pro (AA)",
            "aiderpolyglot": "Aider polyglot", "scicode": "SciCode (AA)",
            "tau2airline": "tau2-bench airline pass^1",
            "tau2retail": "tau2-bench retail pass^1",
            "tau2telecom": "tau2-bench telecom pass^1"}
LETTERS = (("artificial-analysis-leaderboards/", "A"), ("lmarena/", "R"),
           ("arena-ai-leaderboards/", "R"), ("LiveBench/", "L"),
           ("JonathanChavezTamales/", "M"), ("sierra-research/", "T"), ("lechmazur/", "N"),
           ("MMMU-Benchmark/", "U"), ("Aider-AI/", "P"))


def letter(source):
    for start, mark in LETTERS:
        if start in source:
            return mark
    raise ValueError(f"no letter for the source {source!r}")


def logit(percent):
    share = min(max(percent / 100, 0.005), 0.995)
    return math.log(share / (1 - share))


class Figures:
    """The best figure of each model on each benchmark, and what else the table tells."""

    def __init__(self, rows):
        self.family = {}                                # benchmark -> family
        self.value = collections.defaultdict(dict)      # benchmark -> model -> figure
        self.weight = {}                                # benchmark -> 1 or MAKER_WEIGHT
        self.sources = collections.defaultdict(set)     # model -> letters
        self.by_effort = collections.defaultdict(dict)  # (model, benchmark) -> effort -> figure
        for where, row in rows:
            self.take(where, row)
        for name in [b for b, of in self.value.items() if self.weight[b] < 1]:
            self.drop_measured(name)
        for name in [b for b, of in self.value.items() if len(of) < FIGURES_MIN]:
            del self.value[name]
        self.models = sorted({m for of in self.value.values() for m in of})

    def take(self, where, row):
        model, bench, family = row["model"], row["benchmark"], row["family"]
        if family not in FAMILIES or row["scale"] not in ("percent", "elo"):
            raise ValueError(f"{where}: family {family!r}, scale {row['scale']!r}")
        maker = bench.endswith("(maker)")
        if maker:               # spelt in many ways
            bench = re.sub(r"[^a-z0-9]", "", bench[:-len("(maker)")].lower()) + " (maker)"
        if self.family.setdefault(bench, family) != family:
            raise ValueError(f"{where}: {bench} is of two families")
        figure = float(row["score"])
        if row["scale"] == "percent":
            figure = logit(figure)
        self.weight[bench] = MAKER_WEIGHT if maker else 1.0
        of = self.value[bench]
        of[model] = max(of.get(model, -math.inf), figure)
        self.sources[model].add(letter(row["source"]))
        effort = "xhigh" if row["effort"] == "max" else row["effort"]
        if effort in EFFORTS or effort == "on":
            at = self.by_effort[model, bench]
            at[effort] = max(at.get(effort, -math.inf), figure)

    def drop_measured(self, name):
        other = self.value.get(MEASURED.get(name[:-len(" (maker)")]), {})
        for model in [m for m in self.value[name] if m in other]:
            del self.value[name][model]


def line(points):
    """Weighted least squares of (x, y, weight): a, k, mean square of what is left."""
    w = sum(p[2] for p in points)
    mx = sum(p[0] * p[2] for p in points) / w
    my = sum(p[1] * p[2] for p in points) / w
    sxx = sum(p[2] * (p[0] - mx) ** 2 for p in points)
    sxy = sum(p[2] * (p[0] - mx) * (p[1] - my) for p in points)
    k = sxy / sxx if sxx > 1e-9 else 0.0
    a = my - k * mx
    return a, k, sum(p[2] * (p[1] - a - k * p[0]) ** 2 for p in points) / w


def solve(matrix, right):
    """Gauss, for the three unknowns of a regression."""
    size = len(right)
    rows = [list(row) + [right[i]] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[i])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


class Fit:
    """t of every model, a, k and noise of every benchmark. left_out: a benchmark to ignore.
    mean: model -> t that price and date expect, where it is known."""

    def __init__(self, figures, left_out=None, mean=None):
        self.value = {b: of for b, of in figures.value.items() if b != left_out}
        self.family, self.weight = figures.family, figures.weight
        self.of_model = collections.defaultdict(list)
        for b in sorted(self.value):
            for m, figure in self.value[b].items():
                self.of_model[m].append((b, figure))
        self.mean = mean or {}
        self.start()
        for _ in range(ROUNDS):
            self.fit_benchmarks()
            self.fit_models()
        self.fit_benchmarks()

    def start(self):
        """Mean standing within the benchmarks, as a first guess."""
        z = collections.defaultdict(list)
        for of in self.value.values():
            average = sum(of.values()) / len(of)
            spread = math.sqrt(sum((v - average) ** 2 for v in of.values()) / len(of)) or 1.0
            for m, figure in of.items():
                z[m].append((figure - average) / spread)
        self.t = {m: sum(v) / len(v) for m, v in z.items()}
        self.scale()

    def scale(self):
        """N(0, 1) over the models."""
        n = len(self.t)
        average = sum(self.t.values()) / n
        spread = math.sqrt(sum((v - average) ** 2 for v in self.t.values()) / n)
        self.t = {m: (v - average) / spread for m, v in self.t.items()}

    def fit_benchmarks(self):
        self.line = {}
        for b, of in self.value.items():
            points = [(self.t[m], figure, 1.0) for m, figure in of.items()]
            a, k, left = line(points)
            if k <= 0:          # says nothing of ability, or the opposite
                continue
            # the noise of the figures it was drawn through, and what no table is below: two
            # tables of one source agree better than either agrees with the truth
            self.line[b] = (a, k, left + (NOISE * k) ** 2)

    def fit_models(self):
        t = {}
        for m, of in self.of_model.items():
            mean = self.mean.get(m)
            weight = 1 / WIDTH_PRICE ** 2 if mean is not None else 1.0
            total = weight * (mean or 0.0)
            for b, figure in of:
                if b not in self.line:
                    continue
                a, k, noise = self.line[b]
                w = self.weight[b] * k * k / noise
                total += w * min(max((figure - a) / k, -REACH), REACH)
                weight += w
            t[m] = total / weight
        self.t = t
        self.scale()

    def offset(self, model, family):
        """What the family's figures say beyond t, and how many there are."""
        beyond, n, count = 0.0, 0.0, 0
        for b, figure in self.of_model.get(model, ()):
            if self.family[b] != family or b not in self.line:
                continue
            a, k, _ = self.line[b]
            one = (figure - a) / k - self.t[model]
            beyond += self.weight[b] * min(max(one, -LIMIT), LIMIT)
            n += self.weight[b]
            count += 1
        return (beyond / n * n / (n + OFFSET_DRAW) if n else 0.0), n, count


class Price:
    """t by price and release date: a line through the models whose figures are known."""

    def __init__(self, t, facts):
        both = [(t[m], math.log10(p), y - 2025) for m, (p, y) in sorted(facts.items())
                if m in t and p and y]
        self.plane = self.fit([(v, (1.0, p, y)) for v, p, y in both])
        self.flat = self.fit([(v, (1.0, p)) for v, p, _ in both])
        self.count = len(both)
        self.left = self.residual(both)
        self.spread = math.sqrt(sum(v * v for v, _, _ in both) / len(both))

    @staticmethod
    def fit(points):
        size = len(points[0][1])
        matrix = [[sum(x[i] * x[j] for _, x in points) for j in range(size)]
                  for i in range(size)]
        return solve(matrix, [sum(v * x[i] for v, x in points) for i in range(size)])

    def residual(self, both):
        return math.sqrt(sum((v - self.expect(10 ** p, y + 2025)) ** 2
                             for v, p, y in both) / len(both))

    def expect(self, price, year):
        """t; None where there is no price. Nothing is dearer or cheaper than the models the
        line was drawn through by so much that it could be continued for ever."""
        if not price:
            return None
        x = math.log10(min(max(price, 0.03), 200))
        if not year:
            return self.flat[0] + self.flat[1] * x
        return self.plane[0] + self.plane[1] * x + self.plane[2] * (year - 2025)


def width(n):
    return max(WIDTH_ELSEWHERE / math.sqrt(1 + n), WIDTH_LEAST)


def ranks(values):
    order = sorted(range(len(values)), key=lambda i: values[i])
    out, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j + 1 < len(order) and values[order[j + 1]] == values[order[i]]:
            j += 1
        for k in range(i, j + 1):
            out[order[k]] = (i + j) / 2
        i = j + 1
    return out


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    n = len(a)
    ma, mb = sum(a) / n, sum(b) / n
    cov = sum((p - ma) * (q - mb) for p, q in zip(a, b))
    va, vb = sum((p - ma) ** 2 for p in a), sum((q - mb) ** 2 for q in b)
    return cov / math.sqrt(va * vb) if va and vb else 0.0


def median(values):
    v = sorted(values)
    n = len(v)
    return (v[(n - 1) // 2] + v[n // 2]) / 2


class Efforts:
    """What an effort below the highest one loses, in t: figures of one model on one benchmark
    at both, in units of that benchmark's slope."""

    def __init__(self, figures, fit):
        loss = collections.defaultdict(list)    # (model, effort) -> losses
        self.gains = []                         # none to highest, a model each
        for (model, bench), at in sorted(figures.by_effort.items()):
            if bench not in fit.line or len(at) < 2:
                continue
            top = max(at.get(e, -math.inf) for e in ("xhigh", "high", "on"))
            if top == -math.inf:
                continue
            k = fit.line[bench][1]
            for effort, figure in at.items():
                one = min(max((figure - top) / k, -LIMIT), LIMIT)
                loss[model, "high" if effort == "on" else effort].append(one)
        self.model = {key: (sum(v) / len(v), len(v)) for key, v in loss.items()}
        self.common = {}
        for effort in EFFORTS:
            of = [v for (m, e), (v, n) in self.model.items() if e == effort and n >= 3]
            self.common[effort] = min(median(of), 0.0) if of else 0.0
        self.gains = [-v for (m, e), (v, n) in sorted(self.model.items()) if e == "none"]

    def shift(self, model, effort):
        """<= 0: the model's own figures drawn towards all models' median."""
        own, n = self.model.get((model, effort), (0.0, 0))
        drawn = (own * n + self.common[effort] * EFFORT_DRAW) / (n + EFFORT_DRAW)
        return min(drawn, 0.0)


def check(figures, mean):
    """Leave each benchmark out, fit the rest, and predict its order of models."""
    kinds = ("mean percentile in the family", "t", "t and the family's offset",
             "the same, drawn towards price and date")
    found = {kind: [] for kind in kinds}
    for bench in sorted(figures.value):
        of = figures.value[bench]
        if len(of) < CHECKED_MIN:
            continue
        family = figures.family[bench]
        plain, drawn = Fit(figures, bench), Fit(figures, bench, mean)
        models = [m for m in sorted(of) if m in plain.t]
        truth = [of[m] for m in models]
        share = percentiles(figures, bench, family)
        seen = [m for m in models if m in share]
        if len(seen) >= CHECKED_MIN:
            found[kinds[0]].append(spearman([share[m] for m in seen], [of[m] for m in seen]))
        guesses = ([plain.t[m] for m in models],
                   [plain.t[m] + plain.offset(m, family)[0] for m in models],
                   [drawn.t[m] + drawn.offset(m, family)[0] for m in models])
        for kind, guess in zip(kinds[1:], guesses):
            found[kind].append(spearman(guess, truth))
    for kind in kinds:
        print(f"{len(found[kind]):4} benchmarks left out, median Spearman "
              f"{median(found[kind]):.3f}: {kind}")


def percentiles(figures, left_out, family):
    shares = collections.defaultdict(list)
    for bench, of in figures.value.items():
        if bench == left_out or figures.family[bench] != family or len(of) < 2:
            continue
        models = sorted(of)
        for m, rank in zip(models, ranks([of[m] for m in models])):
            shares[m].append(rank / (len(of) - 1))
    return {m: sum(v) / len(v) for m, v in shares.items()}
