//! Loops over single numbers as machine code of their own, against the plans of their steps.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use common::Numbers;
use cotangent_array::{Array, DType};
use cotangent_compile::lane::LaneCode;
use cotangent_compile::{Flow, Plan, StepOp};
use cotangent_cpu::{Program, Way};
use cotangent_graph::{TensorType, parse};

/// The loop of a plan, if its steps are numbers alone.
fn has_loop_of_numbers(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.op {
        StepOp::Flow(Flow::Scan { body, .. }) => LaneCode::of_numbers(body).is_some(),
        _ => false,
    })
}

/// The text of a loop with random steps: how much is carried, scanned, the same and stacked.
fn draw(numbers: &mut Numbers, [carry, scanned, shared, stacked]: [usize; 4]) -> String {
    let mut pick = |n: usize| numbers.next() as usize % n;
    let names = |letter: &str, n: usize| (0..n).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
    let (c, s, w) = (names("c", carry), names("s", scanned), names("w", shared));
    let mut values: Vec<String> = [c.clone(), s.clone(), w.clone()].concat();
    let mut text = String::new();
    let typed = |all: &[String]| {
        all.iter()
            .map(|x| format!("{x}: f64, "))
            .collect::<String>()
    };
    let parameters = format!("{}n: i64, {}{}", typed(&c), typed(&s), typed(&w));
    let results = format!("{}i64, {}", "f64, ".repeat(carry), "f64, ".repeat(stacked));
    let _ = writeln!(text, "fn step({parameters}) -> ({results}) {{");
    for k in 0..1 + pick(40) {
        let (a, b) = (&values[pick(values.len())], &values[pick(values.len())]);
        let (a, b) = (a.clone(), b.clone());
        let _ = match pick(7) {
            0 => writeln!(text, "    let t{k} = {a} + {b};"),
            1 => writeln!(text, "    let t{k} = {a} - {b} * 0.5;"),
            2 => writeln!(text, "    let t{k} = {a} * {b};"),
            3 => writeln!(text, "    let t{k} = tanh({a});"),
            4 => writeln!(text, "    let t{k} = max({a}, {b});"),
            5 => writeln!(text, "    let t{k} = where({a} < {b}, 0.25, {a});"),
            _ => writeln!(text, "    let t{k} = sqrt(abs({a}));"),
        };
        values.push(format!("t{k}"));
    }
    let mut any =
        |n: usize| -> Vec<String> { (0..n).map(|_| values[pick(values.len())].clone()).collect() };
    let (next, out) = (any(carry), any(stacked));
    let list = |all: &[String]| all.iter().map(|x| format!("{x}, ")).collect::<String>();
    let _ = writeln!(text, "    ({}n + 1, {})\n}}", list(&next), list(&out));
    text
}

#[test]
fn loops_of_numbers_give_the_bits_of_their_steps() {
    let mut made = 0;
    for seed in 0..200_u64 {
        let mut numbers = Numbers::new(seed + 1);
        let mut pick = |n: usize| numbers.next() as usize % n;
        let sizes = [1 + pick(13), pick(4), pick(4), pick(4)];
        let (length, reverse) = (1 + pick(9), pick(2) == 1);
        let [carry, scanned, shared, stacked] = sizes;
        let step = draw(&mut numbers, sizes);
        let list = |letter: &str, n: usize, ty: &str| -> String {
            (0..n).map(|i| format!("{letter}{i}: {ty}, ")).collect()
        };
        let all = |letter: &str, n: usize| -> String {
            (0..n).map(|i| format!("{letter}{i}, ")).collect()
        };
        let text = format!(
            "{step}fn f({}{}{}) -> ({}i64, {}) {{\n    scan({}0, {}{}body=step, carry={}, scanned={scanned}, \
             length={length}, reverse={reverse})\n}}",
            list("c", carry, "f64"),
            list("s", scanned, &format!("f64[{length}]")),
            list("w", shared, "f64"),
            "f64, ".repeat(carry),
            format!("f64[{length}], ").repeat(stacked),
            all("c", carry),
            all("s", scanned),
            all("w", shared),
            carry + 1,
        );
        let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let graph = module.entry();
        let plan = cotangent_compile::compile(graph, &cotangent_cpu::target()).unwrap();
        made += usize::from(has_loop_of_numbers(&plan));
        let plan = Arc::new(plan);
        let mut inputs: Vec<Array> = Vec::new();
        for ty in graph.input_types() {
            let plain = seed % 3 > 0;
            let ty = TensorType::new(DType::F64, ty.shape);
            inputs.push(numbers.array(&ty, if plain { Numbers::plain } else { Numbers::any }));
        }
        // All ways give the same bits, though not always the same NaN.
        let [code, tile] = [Way::Code, Way::Tile].map(|way| {
            let program = Program::with_way(plan.clone(), way).unwrap();
            program.run(&inputs).unwrap()
        });
        for (k, (code, tile)) in code.iter().zip(&tile).enumerate() {
            for (x, y) in code.scalars().zip(tile.scalars()) {
                let same = x == y && x.to_f64().to_bits() == y.to_f64().to_bits();
                let nan = x.to_f64().is_nan() && y.to_f64().is_nan();
                assert!(
                    same || nan,
                    "seed {seed}, result {k}: {x} is not {y}\n{text}"
                );
            }
        }
    }
    assert!(made > 150, "{made} loops of numbers");
}

/// What is carried is passed round, dropped, doubled and kept, with more of it than registers.
#[test]
fn carried_numbers_change_places() {
    let n = 11;
    let list = |f: &dyn Fn(usize) -> String| (0..n).map(f).collect::<Vec<_>>().join(", ");
    let mut made = 0;
    for turn in 0..n {
        let text = format!(
            "fn step({}, z: f64) -> ({}) {{ ({}) }}\n\
             fn f({}, z: f64) -> ({}) {{ scan({}, z, body=step, carry={n}, scanned=0, length=5) }}",
            list(&|i| format!("c{i}: f64")),
            list(&|_| "f64".into()),
            list(&|i| match (i + turn) % n {
                3 => "c0 + z".into(),
                7 => "c2".into(),
                8 => format!("c{i}"),
                k => format!("c{k}"),
            }),
            list(&|i| format!("c{i}: f64")),
            list(&|_| "f64".into()),
            list(&|i| format!("c{i}")),
        );
        let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let plan = cotangent_compile::compile(module.entry(), &cotangent_cpu::target()).unwrap();
        made += usize::from(has_loop_of_numbers(&plan));
        let inputs: Vec<Array> = (0..=n).map(|i| Array::from(i as f64 + 0.5)).collect();
        let expected = cotangent_graph::eval(module.entry(), &inputs).unwrap();
        let program = Program::with_way(Arc::new(plan), Way::Code).unwrap();
        assert_eq!(program.run(&inputs).unwrap(), expected, "{text}");
    }
    // Where almost nothing turns, hardly anything is left to carry.
    assert!(made >= n - 2, "{made} loops of numbers");
}
