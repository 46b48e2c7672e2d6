"""Writes orders.txt: values of special functions of several operands, and of their derivatives, to
25 digits, by series and continued fractions in mpmath's arithmetic.

    python3 orders.py > orders.txt

A line is a name, the order of differentiation in each operand, the operands (exact decimal texts of
f64 numbers) and the value.
"""
from mpmath import mp, mpf
import mpmath as m

mp.dps = 60


def line(name, orders, args, value):
    if 1e-300 < abs(value) < 1e300:
        print(name, *orders, *[repr(a) for a in args], m.nstr(value, 25, strip_zeros=False))


def differences(f, point, orders):
    """A derivative by central differences, with digits to spare for those that cancel."""
    axes = [i for i, n in enumerate(orders) if n > 0]
    with m.workdps(mp.dps + 30 * sum(orders)):
        steps = [mpf(10) ** -25 * max(abs(p), mpf(10) ** -3) for p in point]
        terms = [(mpf(1), list(point))]
        for i in axes:
            n, h, next_terms = orders[i], steps[i], []
            for c, p in terms:
                for j in range(n + 1):
                    moved = list(p)
                    moved[i] += (mpf(n) / 2 - j) * h
                    next_terms.append((c * (-1) ** j * m.binomial(n, j) / h**n, moved))
            terms = next_terms
        return sum(c * f(*p) for c, p in terms)


def total(term, ratio):
    """The sum of terms that follow from each other by a ratio."""
    s, k = term, 0
    while abs(term) > abs(s) * mpf(10) ** -mp.dps:
        k += 1
        term *= ratio(k)
        s += term
    return s


def lower(a, x):
    return total(1 / m.gamma(a + 1), lambda k: x / (a + k)) * m.exp(a * m.log(x) - x)


def upper(a, x):
    if x < 30 or x < 1.5 * a:
        with m.extradps(420 if x > 1e3 else int(x / 2 + 60)):
            return 1 - lower(a, x)
    f = c = x + 1 - a
    d, i, step = mpf(0), 1, mpf(0)
    while abs(step - 1) > mpf(10) ** -mp.dps:
        over, part = i * (a - i), x + 2 * i + 1 - a
        d, c = 1 / (part + over * d), part + over / c
        step, i = c * d, i + 1
        f *= step
    return m.exp(a * m.log(x) - x - m.loggamma(a)) / f


def gamma_density(a, x):
    return m.exp((a - 1) * m.log(x) - x - m.loggamma(a))


def beta_density(a, b, x):
    log = m.loggamma(a + b) - m.loggamma(a) - m.loggamma(b)
    return m.exp((a - 1) * m.log(x) + (b - 1) * m.log(1 - x) + log)


def beta_lower(a, b, x):
    s = total(1 / a, lambda k: (a + b + k - 1) * x / (a + k))
    return beta_density(a, b, x) * x * (1 - x) * s


def beta(a, b, x):
    """From the side on which the series is short, with digits for what cancels."""
    with m.extradps(360):
        return beta_lower(a, b, x) if x <= 0.6 else 1 - beta_lower(b, a, 1 - x)


def hurwitz(s, q):
    """Euler-Maclaurin summation, as exact relative to the result for large powers as for small."""
    count = 100 + int(max(0, -q))
    base = q + count
    near = sum((q + j) ** -s for j in range(count))
    rest = base / (s - 1) + mpf(1) / 2
    for i in range(1, 80):
        rest += m.bernoulli(2 * i) / m.factorial(2 * i) * m.rf(s, 2 * i - 1) * base ** (1 - 2 * i)
    return near + rest * base**-s


for a in (1e-3, 0.1, 0.5, 0.9, 1.7, 3.0, 9.5, 19.9, 20.1, 60.0, 300.0, 1e4):
    sd = a**0.5
    points = [1e-8 * a, 0.01 * a + 1e-3, 0.3 * a, 0.8 * a, a, 1.1 * a, 2.6 * a, 4 * a + 1, a + 0.6,
              0.95, a + 10 * sd, a + 35 * sd + 30, max(a - 5 * sd, a / 50), max(a - 20 * sd, a / 9)]
    if a < 100:
        points.append(600.0)
    for x in sorted({float(m.nstr(mpf(x), 6)) for x in points}):
        at = (mpf(a), mpf(x))
        line("gammainc", (0, 0), (a, x), lower(*at))
        line("gammaincc", (0, 0), (a, x), upper(*at))
        rest = lambda a, x: -upper(a, x)
        for n in (1, 2, 3):
            line("gammainc", (n, 0), (a, x), differences(lower if x <= a else rest, at, (n, 0)))
        for n, k in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)):
            value = differences(gamma_density, at, (n, k - 1))
            line("gammainc", (n, k), (a, x), value)

for a in (1e-3, 0.3, 1.0, 2.5, 15.0, 25.0, 400.0, 1e4):
    for b in (1e-3, 0.4, 3.5, 18.0, 350.0, 1e4):
        mean = a / (a + b)
        sd = (mean * (1 - mean) / (a + b + 1)) ** 0.5
        points = [mean, mean - 3 * sd, mean + 3 * sd, mean - 9 * sd, 0.3 * mean, 1e-5 * mean,
                  1 - 0.3 * (1 - mean), 1 - 1e-5 * (1 - mean)]
        points = sorted({float(m.nstr(mpf(x), 7)) for x in points})
        for i, x in enumerate(points):
            if not 0 < x < 1:
                continue
            at = (mpf(a), mpf(b), mpf(x))
            line("betainc", (0, 0, 0), (a, b, x), beta(*at))
            # Every third point has all derivatives.
            if i % 3 != int(a + b) % 3:
                continue
            for n, k in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2)):
                line("betainc", (n, k, 0), (a, b, x), differences(beta, at, (n, k, 0)))
            for orders in ((0, 0, 1), (0, 0, 2), (1, 0, 1), (0, 1, 1), (1, 1, 1), (0, 1, 2)):
                below = (*orders[:2], orders[2] - 1)
                line("betainc", orders, (a, b, x), differences(beta_density, at, below))

for s in (1.001, 1.5, 2.0, 3.3, 8.0, 20.5, 60.0, 200.0, 0.5, 0.0, -0.5, -3.3, -7.0):
    for q in (1e-5, 0.1, 1.0, 2.2, 13.0, 150.0, 1e4):
        for n, k in ((0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1)):
            if s + k == 1.0:
                continue
            # The derivative to q in closed form.
            f = lambda s: (-1) ** k * m.rf(s, k) * hurwitz(s + k, mpf(q))
            with m.extradps(int(max(0, s / 3))):
                line("zeta", (n, k), (s, q), differences(f, (mpf(s),), (n,)))
for s, q, n in ((2.0, -0.3, 0), (3.0, -7.4, 0), (5.0, -100.2, 0), (60.0, -3.3, 0), (2.0, -0.3, 2)):
    line("zeta", (0, n), (s, q), (-1) ** n * m.rf(s, n) * hurwitz(int(s) + n, mpf(q)))
