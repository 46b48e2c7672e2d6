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

/// Whether a plan has a loop whose step is one region.
fn has_loop_of_one_region(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.op {
        StepOp::Flow(Flow::Scan { body, .. }) => {
            matches!(&body.steps[..], [step] if matches!(step.op, StepOp::Region(_)))
        }
        _ => false,
    })
}

/// The text of a loop with random steps on numbers, with a number that counts them: how much is carried,
/// scanned, the same and stacked.
fn draw(numbers: &mut Numbers, sizes: [usize; 4]) -> String {
    draw_on(numbers, sizes, "f64", true)
}

/// The same on arrays of a type, and with the counting number if that is asked for.
fn draw_on(
    numbers: &mut Numbers,
    [carry, scanned, shared, stacked]: [usize; 4],
    ty: &str,
    counts: bool,
) -> String {
    let mut pick = |n: usize| numbers.next() as usize % n;
    let names = |letter: &str, n: usize| (0..n).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
    let (c, s, w) = (names("c", carry), names("s", scanned), names("w", shared));
    let mut values: Vec<String> = [c.clone(), s.clone(), w.clone()].concat();
    let mut text = String::new();
    let typed = |all: &[String]| {
        all.iter()
            .map(|x| format!("{x}: {ty}, "))
            .collect::<String>()
    };
    let count = |text| if counts { text } else { "" };
    let parameters = format!(
        "{}{}{}{}",
        typed(&c),
        count("n: i64, "),
        typed(&s),
        typed(&w)
    );
    let some = |n| format!("{ty}, ").repeat(n);
    let results = format!("{}{}{}", some(carry), count("i64, "), some(stacked));
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
    let (next, out) = (list(&next), list(&out));
    let _ = writeln!(text, "    ({next}{}{out})\n}}", count("n + 1, "));
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
        let [code, tile] = [Way::Code, Way::Tile].map(|way| {
            let program = Program::with_way(plan.clone(), way).unwrap();
            program.run(&inputs).unwrap()
        });
        for (code, tile) in code.iter().zip(&tile) {
            assert_same(code, tile, &text);
        }
    }
    assert!(made > 150, "{made} loops of numbers");
}

/// Bools that are carried, in registers and on the stack, read slice by slice, the same in every step and
/// written step by step.
#[test]
fn loops_over_bools_give_the_bits_of_their_steps() {
    for (dtype, plain) in [("f64", true), ("f32", true), ("f64", false)] {
        for carry in [1, 3, 9, 12] {
            for (length, reverse) in [(1, false), (2, true), (7, false), (8, true)] {
                let typed = |all: &[String], ty: &str| -> String {
                    all.iter().map(|x| format!("{x}: {ty}, ")).collect()
                };
                let listed = |all: &[String]| all.join(", ");
                let c: Vec<String> = (0..carry).map(|k| format!("c{k}")).collect();
                // Each takes the place of the next; the last is new.
                let mut next = c[1..].to_vec();
                next.push("fresh".to_owned());
                let (c, next) = ((typed(&c, "bool"), listed(&c)), listed(&next));
                let text = format!(
                    "fn step({0}h: {dtype}, m: bool, x: {dtype}, w: bool, y: {dtype})
                         -> ({1}{dtype}, bool, bool) {{
                        let fresh = where(c0, x < h, (m | w) & (h < y));
                        let g = where(fresh, h + x, where(m, h * y, x));
                        ({next}, g, c0 ^ m, fresh & w)
                    }}
                    fn f({0}h: {dtype}, m: bool[{length}], x: {dtype}[{length}], w: bool, y: {dtype})
                         -> ({1}{dtype}, bool[{length}], bool[{length}]) {{
                        scan({2}, h, m, x, w, y, body=step, carry={3}, scanned=2, length={length},
                             reverse={reverse})
                    }}",
                    c.0,
                    "bool, ".repeat(carry),
                    c.1,
                    carry + 1,
                );
                let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
                let graph = module.entry();
                let plan = cotangent_compile::compile(graph, &cotangent_cpu::target()).unwrap();
                assert!(has_loop_of_numbers(&plan), "{plan}");
                let plan = Arc::new(plan);
                let mut numbers = Numbers::new((carry * length) as u64);
                for _ in 0..4 {
                    let element = if plain { Numbers::plain } else { Numbers::any };
                    let inputs: Vec<Array> = (graph.input_types().iter())
                        .map(|ty| numbers.array(ty, element))
                        .collect();
                    let [code, tile] = [Way::Code, Way::Tile].map(|way| {
                        let program = Program::with_way(plan.clone(), way).unwrap();
                        program.run(&inputs).unwrap()
                    });
                    for (code, tile) in code.iter().zip(&tile) {
                        assert_same(code, tile, &text);
                    }
                }
            }
        }
    }
}

/// Each step of a loop whose body is one region, run by itself, gives the same bits.
#[test]
fn loops_of_one_region_give_the_bits_of_their_steps() {
    let mut made = 0;
    for seed in 0..120_u64 {
        let mut numbers = Numbers::new(seed + 1);
        let mut pick = |n: usize| numbers.next() as usize % n;
        let sizes = [1 + pick(6), pick(4), pick(4), pick(4)];
        let (length, reverse) = (1 + pick(6), pick(2) == 1);
        let n = [2, 5, 7, 8, 9, 14, 15, 16, 17, 31, 40][pick(11)];
        let [carry, scanned, shared, stacked] = sizes;
        let step = draw_on(&mut numbers, sizes, &format!("f64[{n}]"), false);
        let (one, all) = (format!("f64[{n}]"), format!("f64[{length}, {n}]"));
        let list = |letter: &str, n: usize, ty: &str| -> String {
            (0..n).map(|i| format!("{letter}{i}: {ty}, ")).collect()
        };
        let names = |letter: &str, n: usize| -> String {
            (0..n).map(|i| format!("{letter}{i}, ")).collect()
        };
        let text = format!(
            "{step}fn f({}{}{}) -> ({}{}) {{\n    scan({}{}{}body=step, carry={carry}, scanned={scanned}, \
             length={length}, reverse={reverse})\n}}",
            list("c", carry, &one),
            list("s", scanned, &all),
            list("w", shared, &one),
            format!("{one}, ").repeat(carry),
            format!("{all}, ").repeat(stacked),
            names("c", carry),
            names("s", scanned),
            names("w", shared),
        );
        let module = parse(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let graph = module.entry();
        let plan = cotangent_compile::compile(graph, &cotangent_cpu::target()).unwrap();
        made += usize::from(has_loop_of_one_region(&plan));
        let plan = Arc::new(plan);
        let body = parse(&step).unwrap();
        let inputs: Vec<Array> = (graph.input_types().iter())
            .map(|ty| {
                numbers.array(
                    ty,
                    if seed % 3 > 0 {
                        Numbers::plain
                    } else {
                        Numbers::any
                    },
                )
            })
            .collect();
        for way in [Way::Code, Way::Narrow, Way::Tile, Way::Baseline] {
            let program = Program::with_way(plan.clone(), way).unwrap();
            let results = program.run(&inputs).unwrap();
            let body = cotangent_compile::compile(body.entry(), &cotangent_cpu::target()).unwrap();
            let body = Program::with_way(Arc::new(body), way).unwrap();
            let mut state = inputs[..carry].to_vec();
            for k in 0..length {
                let at = if reverse { length - 1 - k } else { k };
                let slice = |x: &Array| -> Array {
                    let row: Vec<f64> = x.as_slice::<f64>().unwrap()[at * n..(at + 1) * n].to_vec();
                    Array::from(row)
                };
                let mut args = state.clone();
                args.extend(inputs[carry..carry + scanned].iter().map(slice));
                args.extend(inputs[carry + scanned..].iter().cloned());
                let outs = body.run(&args).unwrap();
                for (out, all) in outs[carry..].iter().zip(&results[carry..]) {
                    assert_same(out, &slice(all), &text);
                }
                state = outs[..carry].to_vec();
            }
            for (own, result) in state.iter().zip(&results) {
                assert_same(own, result, &text);
            }
        }
    }
    assert!(made > 40, "{made} loops of one region");
}

/// All ways give the same bits, though not always the same NaN.
fn assert_same(x: &Array, y: &Array, text: &str) {
    for (x, y) in x.scalars().zip(y.scalars()) {
        let same = x == y && x.to_f64().to_bits() == y.to_f64().to_bits();
        let nan = x.to_f64().is_nan() && y.to_f64().is_nan();
        assert!(same || nan, "{x} is not {y}\n{text}");
    }
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
