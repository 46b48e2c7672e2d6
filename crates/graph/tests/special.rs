//! Special functions against values to 25 digits, and at the borders of their domains.
//!
//! `special/table.py` computed the values with mpmath.

use cotangent_graph::math::*;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// How far a function may be from the table: in units of the last place of the value, or, where
/// `absolute` is set, of that of the larger of the value and 1.
struct Bound {
    name: &'static str,
    ulps: f64,
    absolute: bool,
}

const fn bound(name: &'static str, ulps: f64, absolute: bool) -> Bound {
    Bound {
        name,
        ulps,
        absolute,
    }
}

/// The bounds that the rows state.
const BOUNDS: &[Bound] = &[
    bound("erfcx", 4.0, false),
    bound("erfinv", 4.0, false),
    bound("erfcinv", 4.0, false),
    bound("log_ndtr", 4.0, false),
    bound("digamma", 8.0, true),
    bound("polygamma", 64.0, false),
    bound("bessel_j", 4.5, true),
    bound("bessel_y", 4.5, true),
    bound("bessel_i", 8.0, false),
    bound("bessel_ie", 8.0, false),
    bound("bessel_k", 8.0, false),
    bound("bessel_ke", 8.0, false),
];

fn value(name: &str, args: &[f64]) -> Option<f64> {
    let n = args[0] as i64;
    Some(match (name, args) {
        ("erfcx", [x]) => erfcx(*x),
        ("erfinv", [x]) => erfinv(*x),
        ("erfcinv", [x]) => erfcinv(*x),
        ("log_ndtr", [x]) => log_ndtr(*x),
        ("digamma", [x]) => digamma(*x),
        ("polygamma", [_, x]) => polygamma(n, *x),
        ("bessel_j", [_, x]) => bessel_j(n, *x),
        ("bessel_y", [_, x]) => bessel_y(n, *x),
        ("bessel_i", [_, x]) => bessel_i(n, *x),
        ("bessel_ie", [_, x]) => bessel_ie(n, *x),
        ("bessel_k", [_, x]) => bessel_k(n, *x),
        ("bessel_ke", [_, x]) => bessel_ke(n, *x),
        _ => return None,
    })
}

#[test]
fn errors_are_within_the_bounds_stated() {
    let mut wrong = Vec::new();
    let mut worst = vec![0.0_f64; BOUNDS.len()];
    for line in include_str!("special/table.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers: Vec<f64> = words[1..].iter().map(|w| w.parse().unwrap()).collect();
        let (expected, args) = numbers.split_last().unwrap();
        let found = value(words[0], args).unwrap_or_else(|| panic!("no function: {line}"));
        let at = BOUNDS.iter().position(|b| b.name == words[0]).unwrap();
        let bound = &BOUNDS[at];
        let size = if bound.absolute {
            expected.abs().max(1.0)
        } else {
            expected.abs()
        };
        let ulp = (size.next_up() - size).max(f64::MIN_POSITIVE);
        let error = if found == *expected {
            0.0
        } else {
            (found - expected).abs() / ulp
        };
        worst[at] = worst[at].max(error);
        // The orders above 1 come by a recurrence, whose steps round.
        let steps = if words[0].starts_with("bessel") {
            args[0]
        } else {
            0.0
        };
        if error.is_nan() || error > bound.ulps + 2.0 * steps {
            wrong.push(format!("{line}: found {found:e}, {error:.1} ulp"));
        }
    }
    for (bound, worst) in BOUNDS.iter().zip(&worst) {
        println!("{}: at most {worst:.1} ulp", bound.name);
        assert!(*worst > 0.0, "no values of {}", bound.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn borders_of_the_domains() {
    let rows: &[(&str, &[f64], f64)] = &[
        ("erfcx", &[INF], 0.0),
        ("erfcx", &[-INF], INF),
        ("erfcx", &[-30.0], INF),
        ("erfinv", &[1.0], INF),
        ("erfinv", &[-1.0], -INF),
        ("erfinv", &[1.1], NAN),
        ("erfinv", &[0.0], 0.0),
        ("erfinv", &[5e-324], 5e-324),
        ("erfcinv", &[0.0], INF),
        ("erfcinv", &[2.0], -INF),
        ("erfcinv", &[1.0], 0.0),
        ("erfcinv", &[-0.1], NAN),
        ("erfcinv", &[2.1], NAN),
        ("log_ndtr", &[-INF], -INF),
        ("log_ndtr", &[INF], 0.0),
        ("bessel_j", &[0.0, 0.0], 1.0),
        ("bessel_j", &[3.0, 0.0], 0.0),
        ("bessel_j", &[3.0, INF], 0.0),
        ("bessel_y", &[0.0, 0.0], -INF),
        ("bessel_y", &[2.0, 0.0], -INF),
        ("bessel_y", &[1.0, -1.0], NAN),
        ("bessel_y", &[1.0, INF], 0.0),
        ("bessel_i", &[0.0, 0.0], 1.0),
        ("bessel_i", &[1.0, 0.0], 0.0),
        ("bessel_i", &[1.0, INF], INF),
        ("bessel_i", &[1.0, -INF], -INF),
        ("bessel_i", &[2.0, -INF], INF),
        ("bessel_ie", &[0.0, INF], 0.0),
        ("bessel_ie", &[0.0, 0.0], 1.0),
        ("bessel_ie", &[0.0, f64::MAX], 2.9755e-155),
        ("bessel_k", &[0.0, 0.0], INF),
        ("bessel_k", &[3.0, 0.0], INF),
        ("bessel_k", &[0.0, -1.0], NAN),
        ("bessel_k", &[0.0, INF], 0.0),
        ("bessel_k", &[0.0, 800.0], 0.0),
        ("bessel_ke", &[1.0, INF], 0.0),
        ("bessel_ke", &[0.0, 0.0], INF),
        ("bessel_ke", &[2.0, -1.0], NAN),
    ];
    for (name, args, expected) in rows {
        let found = value(name, args).unwrap();
        let same = found == *expected
            || (found.is_nan() && expected.is_nan())
            || (found - expected).abs() < 1e-4 * expected.abs();
        assert!(
            same,
            "{name} {args:?}: expected {expected:e}, found {found:e}"
        );
    }
    for bound in BOUNDS {
        for args in [&[NAN][..], &[0.0, NAN], &[1.0, NAN], &[5.0, NAN]] {
            if let Some(found) = value(bound.name, args) {
                assert!(found.is_nan(), "{} of NaN: {found}", bound.name);
            }
        }
    }
}

/// Every order, and sizes from the smallest to the largest, end and give no NaN.
#[test]
fn all_sizes_have_values() {
    for n in [0_i64, 1, 2, 3, 10, 40, 100] {
        for e in (-320..=308).step_by(4) {
            let x = 10_f64.powi(e);
            for name in [
                "bessel_j",
                "bessel_y",
                "bessel_i",
                "bessel_ie",
                "bessel_k",
                "bessel_ke",
            ] {
                let found = value(name, &[n as f64, x]).unwrap();
                assert!(!found.is_nan(), "{name} of order {n} at {x:e}");
            }
        }
    }
    for e in (-320..=308).step_by(2) {
        let x = 10_f64.powi(e);
        for name in ["erfcx", "log_ndtr"] {
            for x in [x, -x] {
                let found = value(name, &[x]).unwrap();
                assert!(!found.is_nan(), "{name} at {x:e}");
            }
        }
        if e <= 0 {
            assert!(erfcinv(x) >= 0.0, "erfcinv at {x:e}");
        }
    }
}
