//! Sums join elements in the order that the shape alone fixes, whatever registers they stand in.

mod common;

use common::{Numbers, plan_of};
use cotangent_array::Array;
use cotangent_cpu::Program;

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
