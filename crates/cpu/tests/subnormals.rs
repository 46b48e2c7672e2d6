//! Numbers below the smallest normal one, kept or taken for zeros.

use std::hint::black_box;

use cotangent_array::{Array, Scalar};
use cotangent_compile::Options;
use cotangent_cpu::{Program, Way, compile_with};
use cotangent_graph::parse;

fn program(text: &str, flush_subnormals: bool) -> Program {
    let options = Options {
        flush_subnormals,
        ..Options::default()
    };
    compile_with(parse(text).unwrap().entry(), &options).unwrap()
}

/// Whether regions run in code that can flush.
fn generates_code() -> bool {
    #[cfg(target_arch = "x86_64")]
    let fast = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let fast = false;
    fast && matches!(Way::chosen(), Way::Code | Way::Narrow)
}

/// A region of arrays, and a tape of single numbers.
const TEXTS: [&str; 2] = [
    "fn f(x: f64[37]) -> f64[37] { exp(x) * 0.5 }",
    "fn f(x: f64) -> f64 { let y = exp(x); y * 0.5 + y * 0.25 }",
];

#[test]
fn subnormal_results_are_kept_unless_they_are_flushed() {
    for text in TEXTS {
        let kept = program(text, false);
        let ty = kept.plan().inputs[0].1.clone();
        // exp(-720) is 2e-313, exp(-700) is 1e-304.
        for (x, subnormal) in [(-720.0, true), (-700.0, false)] {
            let at = Array::full(ty.shape.dims(), Scalar::F64(x)).unwrap();
            let plain = kept.run(std::slice::from_ref(&at)).unwrap();
            assert!(plain[0].scalars().all(|y| y.to_f64() > 0.0), "{text}");
            let flushed = program(text, true).run(&[at]).unwrap();
            let zero = subnormal && generates_code();
            assert!(
                flushed[0].scalars().all(|y| (y.to_f64() == 0.0) == zero),
                "{text}: {:?}",
                flushed[0]
            );
            // What the caller computes is as before.
            assert!(black_box(1e-160) * black_box(1e-160) > 0.0);
        }
    }
}

/// A row that is called from code runs as it does elsewhere, and the code goes on as it was.
#[test]
fn called_rows_are_not_flushed() {
    let text = "fn f(x: f64[19], y: f64[19]) -> (f64[19], f64[19]) {
        let a = lgamma(x);
        (a, y * 0.5 + 0.0 * a)
    }";
    let x = Array::full([19], Scalar::F64(3.5)).unwrap();
    let y = Array::full([19], Scalar::F64(4e-308)).unwrap();
    let inputs = [x, y];
    let kept = program(text, false).run(&inputs).unwrap();
    let flushed = program(text, true).run(&inputs).unwrap();
    assert_eq!(kept[0], flushed[0]);
    assert!(kept[1].scalars().all(|y| y.to_f64() > 0.0));
    let zero = generates_code();
    assert!(flushed[1].scalars().all(|y| (y.to_f64() == 0.0) == zero));
}
