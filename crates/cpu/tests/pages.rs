//! No memory may be written where it is executed.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::plan_of;
use cotangent_array::Array;
use cotangent_cpu::Program;

/// What the system says of the memory of this process: addresses, rights, and what each part is of.
fn parts() -> Vec<(String, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let part = |line: &str| {
        let mut words = line.split_whitespace();
        let rights = words.nth(1).unwrap_or_default().to_owned();
        (rights, line.to_owned())
    };
    maps.lines().map(part).collect()
}

#[test]
fn nothing_is_writable_and_executable() {
    let made = |line: &str| line.contains("memfd:code");
    let is_code = |rights: &str| rights.starts_with("r-x");
    let plan = plan_of("fn f(x: f64[300]) -> f64 { sum(exp(x) * sin(x) + 0.40625, axes=[0]) }");
    let program = Program::new(plan).unwrap();
    program
        .run(&[Array::zeros(cotangent_array::DType::F64, [300]).unwrap()])
        .unwrap();
    let parts = parts();
    for (rights, line) in &parts {
        assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
    }
    // Machines without AVX2 have no generated code at all.
    let generated = parts
        .iter()
        .any(|(rights, line)| made(line) && is_code(rights));
    let expected = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let chosen = std::env::var("COTANGENT_RUN");
    if !matches!(chosen.as_deref(), Ok("tile" | "baseline")) {
        assert_eq!(generated, expected, "{parts:#?}");
    }
}
