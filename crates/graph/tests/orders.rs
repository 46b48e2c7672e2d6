//! Special functions of several operands, and their derivatives of several orders, against values to
//! 25 digits, against the equations that they satisfy, and at the borders of their domains.
//!
//! `special/orders.py` computed the values with mpmath.

use cotangent_graph::math::{betainc, gammainc, gammaincc, zeta};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// A function with the orders of differentiation first among its arguments.
fn value(name: &str, args: &[f64]) -> f64 {
    let order = |i: usize| args[i] as u8;
    match (name, args) {
        ("gammainc", [_, _, a, x]) => gammainc([order(0), order(1)], *a, *x),
        ("gammaincc", [_, _, a, x]) => gammaincc([order(0), order(1)], *a, *x),
        ("zeta", [_, _, s, q]) => zeta([order(0), order(1)], *s, *q),
        ("betainc", [_, _, _, a, b, x]) => betainc([order(0), order(1), order(2)], *a, *b, *x),
        _ => panic!("no function {name} of {args:?}"),
    }
}

/// The error that the rows allow.
fn allowed(name: &str, args: &[f64], expected: f64) -> f64 {
    let relative = |by: f64| by * expected.abs();
    if name == "zeta" {
        return match args[2] {
            s if s > 1.0 => relative(1e-13),
            s => relative(1e-13) + 1e-14 * 8_f64.powf(-s),
        };
    }
    let parameters = args.len() / 2 - 1;
    if args[..parameters].iter().all(|n| *n == 0.0) {
        return relative(1e-13);
    }
    let mut plain = args.to_vec();
    plain[..parameters].fill(0.0);
    let by = if name == "betainc" { 1e-10 } else { 1e-11 };
    relative(by) + 1e-14 * value(name, &plain).abs()
}

#[test]
fn errors_are_within_the_bounds_stated() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let mut worst: Vec<(String, f64)> = Vec::new();
    for line in include_str!("special/orders.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers: Vec<f64> = words[1..].iter().map(|w| w.parse().unwrap()).collect();
        let (expected, args) = numbers.split_last().unwrap();
        let found = value(words[0], args);
        let error = (found - expected).abs() / allowed(words[0], args, *expected);
        if error.is_nan() || error > 1.0 {
            wrong.push(format!(
                "{line}: found {found:e}, {error:.1} of what is allowed"
            ));
        }
        let key = words[..args.len() / 2 + 1].join(" ");
        match worst.iter_mut().find(|(k, _)| *k == key) {
            Some((_, w)) => *w = w.max(error),
            None => worst.push((key, error)),
        }
        count += 1;
    }
    for (key, worst) in worst {
        println!("{key}: {worst:.2} of what is allowed");
    }
    assert!(count > 2000, "{count} values");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn borders_of_the_domains() {
    let rows: &[(&str, &[f64], f64)] = &[
        ("gammainc", &[0.0, 0.0, 2.0, 0.0], 0.0),
        ("gammainc", &[0.0, 0.0, 2.0, INF], 1.0),
        ("gammainc", &[0.0, 0.0, 0.0, 2.0], 1.0),
        ("gammainc", &[0.0, 0.0, INF, 2.0], 0.0),
        ("gammainc", &[0.0, 0.0, 0.0, 0.0], NAN),
        ("gammainc", &[0.0, 0.0, INF, INF], NAN),
        ("gammainc", &[0.0, 0.0, -1.0, 2.0], NAN),
        ("gammainc", &[0.0, 0.0, 1.0, -2.0], NAN),
        ("gammaincc", &[0.0, 0.0, 2.0, 0.0], 1.0),
        ("gammaincc", &[0.0, 0.0, 2.0, INF], 0.0),
        ("gammaincc", &[0.0, 0.0, 0.0, 2.0], 0.0),
        ("gammaincc", &[0.0, 0.0, INF, 2.0], 1.0),
        ("gammaincc", &[0.0, 0.0, 0.0, 0.0], NAN),
        ("gammaincc", &[0.0, 0.0, 1.0, -2.0], NAN),
        // -E1(1), and the density at 0 of each kind.
        ("gammainc", &[1.0, 0.0, 0.0, 1.0], -0.219_383_934_395_520_28),
        ("gammainc", &[1.0, 0.0, 2.0, INF], 0.0),
        ("gammainc", &[2.0, 0.0, 2.0, 0.0], 0.0),
        ("gammainc", &[0.0, 1.0, 1.0, 0.0], 1.0),
        ("gammainc", &[0.0, 2.0, 1.0, 0.0], -1.0),
        ("gammainc", &[0.0, 3.0, 2.0, 0.0], -2.0),
        ("gammainc", &[0.0, 2.0, 3.0, 0.0], 0.0),
        ("gammainc", &[0.0, 1.0, 0.5, 0.0], INF),
        ("gammainc", &[0.0, 2.0, 0.5, 0.0], -INF),
        ("gammainc", &[1.0, 1.0, 1.0, 0.0], -INF),
        ("gammainc", &[0.0, 1.0, 0.0, 2.0], 0.0),
        ("gammainc", &[0.0, 1.0, 2.0, INF], 0.0),
        ("gammaincc", &[0.0, 1.0, 1.0, 0.0], -1.0),
        ("betainc", &[0.0, 0.0, 0.0, 2.0, 3.0, 0.0], 0.0),
        ("betainc", &[0.0, 0.0, 0.0, 2.0, 3.0, 1.0], 1.0),
        ("betainc", &[0.0, 0.0, 0.0, 0.0, 3.0, 0.5], 1.0),
        ("betainc", &[0.0, 0.0, 0.0, 2.0, 0.0, 0.5], 0.0),
        ("betainc", &[0.0, 0.0, 0.0, INF, 3.0, 0.5], 0.0),
        ("betainc", &[0.0, 0.0, 0.0, 2.0, INF, 0.5], 1.0),
        ("betainc", &[0.0, 0.0, 0.0, 0.0, 0.0, 0.5], NAN),
        ("betainc", &[0.0, 0.0, 0.0, -1.0, 3.0, 0.5], NAN),
        ("betainc", &[0.0, 0.0, 0.0, 1.0, 3.0, 1.1], NAN),
        ("betainc", &[0.0, 0.0, 0.0, 1.0, 3.0, -0.1], NAN),
        ("betainc", &[0.0, 0.0, 1.0, 1.0, 3.0, 0.0], 3.0),
        ("betainc", &[0.0, 0.0, 2.0, 1.0, 3.0, 0.0], -6.0),
        ("betainc", &[0.0, 1.0, 1.0, 1.0, 3.0, 0.0], 1.0),
        ("betainc", &[0.0, 0.0, 1.0, 3.0, 1.0, 1.0], 3.0),
        ("betainc", &[0.0, 0.0, 1.0, 0.5, 1.0, 0.0], INF),
        ("betainc", &[0.0, 0.0, 1.0, 1.0, 0.5, 1.0], INF),
        (
            "betainc",
            &[1.0, 0.0, 0.0, 0.0, 1.0, 0.5],
            -std::f64::consts::LN_2,
        ),
        (
            "betainc",
            &[0.0, 1.0, 0.0, 1.0, 0.0, 0.5],
            std::f64::consts::LN_2,
        ),
        ("betainc", &[1.0, 1.0, 0.0, 1.0, 2.0, 1.0], 0.0),
        ("zeta", &[0.0, 0.0, 1.0, 2.0], INF),
        ("zeta", &[0.0, 0.0, 2.0, 0.0], INF),
        ("zeta", &[0.0, 0.0, 2.0, -3.0], INF),
        ("zeta", &[0.0, 0.0, 2.5, -0.5], NAN),
        ("zeta", &[0.0, 0.0, -11.0, 2.0], NAN),
        ("zeta", &[0.0, 0.0, INF, 2.0], 0.0),
        ("zeta", &[0.0, 0.0, INF, 1.0], 1.0),
        ("zeta", &[0.0, 0.0, 2.0, INF], 0.0),
        ("zeta", &[0.0, 1.0, 0.0, 2.0], -1.0),
        ("zeta", &[0.0, 1.0, 2.0, 0.0], -INF),
        // Riemann's, at 0: value and slope (DLMF 25.6.1 and 25.6.11).
        ("zeta", &[0.0, 0.0, 0.0, 1.0], -0.5),
        ("zeta", &[1.0, 0.0, 0.0, 1.0], -0.918_938_533_204_672_8),
    ];
    for (name, args, expected) in rows {
        let found = value(name, args);
        let same = found == *expected
            || (found.is_nan() && expected.is_nan())
            || (found - expected).abs() < 1e-14 * expected.abs();
        assert!(
            same,
            "{name} {args:?}: expected {expected:e}, found {found:e}"
        );
    }
    for (name, count) in [
        ("gammainc", 2),
        ("gammaincc", 2),
        ("betainc", 3),
        ("zeta", 2),
    ] {
        for at in 0..count {
            for order in [0.0, 1.0, 2.0] {
                let mut args = vec![order; count];
                args.extend(vec![0.5; count]);
                args[count + at] = NAN;
                assert!(value(name, &args).is_nan(), "{name} {args:?}");
            }
        }
    }
}

/// P(a + 1, x) = P(a, x) - x^a exp(-x) / Gamma(a + 1) (DLMF 8.8.5), I_x(a, b) + I_(1-x)(b, a) = 1
/// (DLMF 8.17.4) and zeta(s, q) = zeta(s, q + 1) + q^-s (DLMF 25.11.3), with their derivatives.
#[test]
fn equations_hold() {
    let close = |what: String, found: f64, expected: f64, size: f64| {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-12 * size,
            "{what}: {found:e}, expected {expected:e}"
        );
    };
    for i in 0..400 {
        let t = |by: f64| (0.5 + by * f64::from(i)).fract();
        let (a, b) = (
            0.05 + 60.0 * t(0.618).powi(2),
            0.05 + 45.0 * t(0.414).powi(2),
        );
        let x = a * 3.0 * t(0.732);
        // The step is x times the density at a + 1, whose derivatives are given.
        let density = |n: u8| gammainc([n, 1], a + 1.0, x);
        for n in 0..4 {
            let [here, next] = [a, a + 1.0].map(|a| gammainc([n, 0], a, x));
            let size = here.abs() + next.abs() + density(n).abs();
            close(
                format!("gammainc {n} {a} {x}"),
                next,
                here - density(n),
                size,
            );
            let [here, next] = [a, a + 1.0].map(|a| gammaincc([n, 0], a, x));
            let size = here.abs() + next.abs() + density(n).abs();
            close(
                format!("gammaincc {n} {a} {x}"),
                next,
                here + density(n),
                size,
            );
        }
        let x = 0.02 + 0.96 * t(0.236);
        for (n, m, k) in [
            (0, 0, 0),
            (1, 0, 0),
            (2, 1, 0),
            (0, 0, 1),
            (1, 2, 1),
            (1, 1, 2),
        ] {
            let (here, there) = (
                betainc([n, m, k], a, b, x),
                betainc([m, n, k], b, a, 1.0 - x),
            );
            let whole = f64::from(u8::from(n + m + k == 0));
            let sign = if k % 2 == 0 { -1.0 } else { 1.0 };
            let size = here.abs() + there.abs() + 0.1;
            close(
                format!("betainc {n} {m} {k} {a} {b} {x}"),
                here,
                whole + sign * there,
                10.0 * size,
            );
        }
        let (s, q) = (1.05 + 12.0 * t(0.15), 0.1 + 20.0 * t(0.37));
        for n in 0..4 {
            let first = (-q.ln()).powi(i32::from(n)) * q.powf(-s);
            let [here, next] = [q, q + 1.0].map(|q| zeta([n, 0], s, q));
            let size = here.abs() + next.abs() + first.abs();
            close(format!("zeta {n} {s} {q}"), here, next + first, size);
        }
    }
}

/// Derivatives of every order and mix are the differences of those one order lower.
#[test]
fn orders_are_derivatives_of_each_other() {
    for (name, point) in [
        ("gammainc", &[0.7, 0.4][..]),
        ("gammainc", &[3.0, 5.5]),
        ("gammaincc", &[26.0, 24.0]),
        ("gammaincc", &[26.0, 31.0]),
        ("betainc", &[0.7, 3.0, 0.2]),
        ("betainc", &[24.0, 31.0, 0.4]),
        ("betainc", &[24.0, 31.0, 0.6]),
        ("betainc", &[30.0, 2.5, 0.95]),
        ("zeta", &[2.3, 0.4]),
        ("zeta", &[0.5, 17.0]),
    ] {
        for start in 0..27_usize {
            let orders: Vec<f64> = (0..point.len())
                .map(|i| (start / 3_usize.pow(i as u32) % 3) as f64)
                .collect();
            for at in 0..point.len() {
                let mut raised = orders.clone();
                raised[at] += 1.0;
                let exact = value(name, &[&raised[..], point].concat());
                // Richardson's extrapolation of central differences.
                let h = 2e-3 * point[at].min(1.0 - 0.9 * f64::from(u8::from(at == 2)));
                let difference = |h: f64| {
                    let moved = |by: f64| {
                        let mut p = point.to_vec();
                        p[at] += by;
                        value(name, &[&orders[..], &p].concat())
                    };
                    (moved(h) - moved(-h)) / (2.0 * h)
                };
                let (wide, narrow) = (difference(2.0 * h), difference(h));
                let found = narrow + (narrow - wide) / 3.0;
                let size = exact.abs() + value(name, &[&orders[..], point].concat()).abs();
                assert!(
                    (found - exact).abs() < 2e-6 * size,
                    "{name} {orders:?} {point:?}, operand {at}: {exact:e}, differences {found:e}"
                );
            }
        }
    }
}

/// Every size of the operands, from the smallest to the largest, ends and gives no NaN.
#[test]
fn all_sizes_have_values() {
    let sizes: Vec<f64> = (-307..=308).step_by(9).map(|e| 10_f64.powi(e)).collect();
    for a in &sizes {
        for x in &sizes {
            for (name, orders) in [("gammainc", [0.0, 0.0]), ("gammaincc", [0.0, 0.0])] {
                let found = value(name, &[orders[0], orders[1], *a, *x]);
                assert!(
                    (0.0..=1.0).contains(&found),
                    "{name} {a:e} {x:e}: {found:e}"
                );
            }
            for n in 1..3 {
                let found = gammainc([n, 0], *a, *x);
                assert!(!found.is_nan(), "gammainc, order {n} {a:e} {x:e}");
            }
            let found = zeta([0, 0], 1.0 + a.min(1e9), *x);
            assert!(!found.is_nan(), "zeta {a:e} {x:e}: {found:e}");
            for at in [1e-300, 1e-20, 1e-3, 0.3, 0.5, 0.9, 1.0 - 1e-9] {
                let found = betainc([0; 3], *a, *x, at);
                assert!(
                    (0.0..=1.0).contains(&found),
                    "betainc {a:e} {x:e} {at:e}: {found:e}"
                );
            }
        }
    }
}
