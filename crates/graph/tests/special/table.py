"""Writes table.txt: values of special functions to 25 digits, by mpmath.

    python3 table.py > table.txt

A line is a name, the operands (exact decimal texts of f64 numbers) and the value.
"""
from mpmath import mp, mpf
import mpmath as m

mp.dps = 60


def line(name, args, value):
    texts = [repr(a) for a in args]
    print(name, *texts, m.nstr(value, 25, strip_zeros=False))


def rows(name, f, points):
    for p in points:
        args = p if isinstance(p, tuple) else (p,)
        line(name, args, f(*[mpf(a) for a in args]))


ERF = [1e-300, 1e-10, 1e-3, 0.1, 0.3, 0.49, 0.51, 0.7, 0.9, 0.99, 1 - 2.0**-20, 1 - 2.0**-53]
rows("erfcx", lambda x: m.exp(x * x) * m.erfc(x),
     [-26.0, -5.1, -1.0, -0.3, 0.0, 1e-9, 0.2, 0.7, 1.3, 2.0, 3.3, 7.7, 11.9, 12.1, 19.0, 24.9, 25.1, 60.0, 1e5, 1e150])
rows("erfinv", m.erfinv, ERF + [-x for x in ERF[2:6]])
rows("erfcinv", lambda q: -m.findroot(lambda y: m.log(m.erfc(-y)) - m.log(q), -m.sqrt(-m.log(q / 2)) * mpf("0.9"))
     if q < 1 else m.erfinv(1 - q),
     [1e-300, 1e-100, 1e-20, 2e-10, 1e-6, 1e-3, 0.05, 0.3, 0.5, 0.6, 0.9, 1.1, 1.5, 1.9, 2 - 2.0**-30])
rows("log_ndtr", lambda x: m.log(m.erfc(-x / m.sqrt(2)) / 2) if x < 0 else m.log1p(-m.erfc(x / m.sqrt(2)) / 2),
     [-1e5, -40.0, -37.0, -10.0, -3.0, -1.1, -0.9, 0.0, 0.5, 1.7, 5.0, 9.0, 20.0])
rows("digamma", m.digamma, [1e-5, 0.1, 0.7, 1.3, 2.5, 11.9, 12.1, 100.0, 1e10, -0.3, -2.7, -10.4])
for n in (1, 2, 5):
    rows("polygamma", lambda k, x: m.polygamma(int(k), x),
         [(n, x) for x in (0.01, 0.3, 1.0, 2.2, 7.5, 30.0, 1e4, -0.3, -1.6)])
X = [1e-8, 0.1, 0.5, 0.99, 1.01, 2.0, 3.7, 7.9, 8.1, 13.0, 19.9, 20.1, 30.0, 99.0, 700.0]
for n in (0, 1, 2, 5, 12):
    rows("bessel_j", lambda k, x: m.besselj(int(k), x), [(n, x) for x in X + [-2.5, 1e4]])
    rows("bessel_y", lambda k, x: m.bessely(int(k), x), [(n, x) for x in X + [1e4]])
    rows("bessel_i", lambda k, x: m.besseli(int(k), x), [(n, x) for x in X + [-2.5, 712.0]])
    rows("bessel_ie", lambda k, x: m.besseli(int(k), x) * m.exp(-abs(x)), [(n, x) for x in X + [-2.5, 1e4]])
    rows("bessel_k", lambda k, x: m.besselk(int(k), x), [(n, x) for x in X])
    rows("bessel_ke", lambda k, x: m.besselk(int(k), x) * m.exp(x), [(n, x) for x in X + [1e4]])
