//! Sums join elements in the order that the shape alone fixes, whatever registers they stand in.

mod common;

use common::{Numbers, plan_of};
use cotangent_array::Array;
use cotangent_cpu::{Program, Way};

/// Rows, and the columns around which sums change the way they run.
const ROWS: [usize; 6] = [2, 3, 63, 64, 65, 200];

fn numbers(n: usize) -> Vec<f64> {
    let mut numbers = Numbers::new(n as u64);
    // Magnitudes apart, so that another order shows in the bits.
    (0..n)
        .map(|k| numbers.within(-1.0, 1.0) * 10_f64.powi(k as i32 % 7))
        .collect()
}

fn summed(axis: usize, [rows, columns]: [usize; 2], x: &[f64]) -> Vec<u64> {
    let n = if axis == 0 { columns } else { rows };
    let text = format!("fn f(x: f64[{rows}, {columns}]) -> f64[{n}] {{ sum(x, axes=[{axis}]) }}");
    let plan = plan_of(&text);
    assert!(plan.to_string().contains("= sum("), "{plan}");
    let x = Array::new([rows, columns], x.to_vec()).unwrap();
    let found = Program::new(plan).unwrap().run(&[x]).unwrap();
    found[0].to_f64s().into_iter().map(f64::to_bits).collect()
}

#[test]
fn rows_are_added_in_blocks() {
    for rows in ROWS {
        for columns in 2..40 {
            let x = numbers(rows * columns);
            let column = |k: usize| {
                let column: Vec<f64> = x.iter().skip(k).step_by(columns).copied().collect();
                let blocks = column
                    .chunks(64)
                    .map(|block| block.iter().fold(0.0, |a, b| a + b));
                blocks.fold(0.0, |a: f64, b: f64| a + b).to_bits()
            };
            let expected: Vec<u64> = (0..columns).map(column).collect();
            assert_eq!(
                summed(0, [rows, columns], &x),
                expected,
                "{rows} by {columns}"
            );
        }
    }
}

#[test]
fn elements_of_a_row_are_added_in_eight_sums() {
    for rows in ROWS {
        for columns in 2..40 {
            let x = numbers(rows * columns);
            let row = |row: &[f64]| {
                if row.len() < 8 {
                    return row.iter().fold(0.0, |a: f64, b| a + b).to_bits();
                }
                let mut s = [0.0_f64; 8];
                row.iter().enumerate().for_each(|(k, x)| s[k % 8] += x);
                let half = |s: &[f64]| (s[0] + s[1]) + (s[2] + s[3]);
                (half(&s[..4]) + half(&s[4..])).to_bits()
            };
            let expected: Vec<u64> = x.chunks(columns).map(row).collect();
            assert_eq!(
                summed(1, [rows, columns], &x),
                expected,
                "{rows} by {columns}"
            );
        }
    }
}

/// What a sum of f32 may be away from the exact one, in shares of the sum of all magnitudes: sixteen elements at most
/// are added as they are, and the result is rounded.
const BOUND: f64 = 16.0 / (1 << 24) as f64;

#[test]
fn sums_of_f32_are_near_the_exact_ones() {
    for n in [1, 15, 16, 17, 31, 255, 256, 257, 1000, 4096, 100_003] {
        let rows = |k: usize, n: usize| move |(i, x): (usize, f32)| (i / n == k).then_some(x);
        check([2, n], 1, |k| Box::new(rows(k, n)));
    }
}

#[test]
fn sums_of_f32_over_rows_are_near_the_exact_ones() {
    for n in [2, 15, 16, 17, 31, 33, 64, 257, 1000, 4099] {
        let columns = |k: usize| move |(i, x): (usize, f32)| (i % 70 == k).then_some(x);
        check([n, 70], 0, |k| Box::new(columns(k)));
    }
}

type Pick = Box<dyn Fn((usize, f32)) -> Option<f32>>;

/// Compares the sums over an axis with those of f64; `of` says which elements belong to each.
fn check([rows, columns]: [usize; 2], axis: usize, of: impl Fn(usize) -> Pick) {
    let results = if axis == 0 { columns } else { rows };
    let plan = plan_of(&format!(
        "fn f(x: f32[{rows}, {columns}]) -> f32[{results}] {{ sum(abs(x), axes=[{axis}]) }}"
    ));
    let fold = if axis == 0 {
        "(sum(%1, outer=1"
    } else {
        "(sum(%1)"
    };
    let alone = rows == 1 || columns == 1;
    assert!(alone || plan.to_string().contains(fold), "{plan}");
    let mut numbers = Numbers::new((rows * columns) as u64);
    let x: Vec<f32> = (0..rows * columns)
        .map(|k| (numbers.within(-1.0, 2.0) * 10_f64.powi(k as i32 % 5)) as f32)
        .collect();
    let found = |way| {
        let program = Program::with_way(plan.clone(), way).unwrap();
        let x = Array::new([rows, columns], x.clone()).unwrap();
        program.run(&[x]).unwrap()[0].to_f64s()
    };
    let [code, narrow, tile, baseline] =
        [Way::Code, Way::Narrow, Way::Tile, Way::Baseline].map(found);
    assert_eq!(code, narrow, "{rows} by {columns}");
    assert_eq!(code, tile, "{rows} by {columns}");
    assert_eq!(code, baseline, "{rows} by {columns}");
    for (k, found) in code.iter().enumerate() {
        let own = || {
            x.iter()
                .copied()
                .enumerate()
                .filter_map(of(k))
                .map(f64::from)
        };
        let exact: f64 = own().map(f64::abs).sum();
        let error = (found - exact).abs() / exact;
        // Errors of random numbers cancel for the most part.
        assert!(error <= BOUND / 4.0, "{rows} by {columns}: {error}");
    }
}
