//! Rules of users' own and native operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cotangent::custom::{self, Native, Registry};
use cotangent::{
    Array, ArrayError, DType, Error, Function, Tensor, TensorType, control, parse_with, print,
};

type One = (Tensor,);

fn scalar() -> TensorType {
    TensorType::scalar(DType::F64)
}

fn numbers(array: &Array) -> Vec<f64> {
    array.to_f64s()
}

#[track_caller]
fn near(found: &Array, expected: &Array) {
    assert_eq!(found.shape(), expected.shape());
    for (x, y) in numbers(found).iter().zip(numbers(expected)) {
        assert!(
            (x - y).abs() <= 1e-12 * y.abs().max(1.0),
            "{found} and {expected}"
        );
    }
}

/// log(1 + exp(x)) by its definition, with a stable rule: for tangents, then for cotangents.
fn log1pexp() -> [Function<One, Tensor>; 2] {
    let f = Function::new(|x: &Tensor| x.exp().log1p()).named("log1pexp", ["x"]);
    [
        f.with_jvp(|(x,): One, _y: Tensor, (t,): One| t * x.sigmoid()),
        f.with_vjp(|(x,): One, _y: Tensor, ct: Tensor| (x.sigmoid() * ct,)),
    ]
}

#[test]
fn a_rule_for_one_mode_serves_both_to_any_order() -> Result<(), Error> {
    let x = Array::from([-2.0, 0.0, 3.0, 800.0]);
    let sigmoid = Function::new(|x: &Tensor| x.sigmoid());
    let slope = sigmoid.call((x.clone(),))?;
    let ones = Array::from([1.0; 4]);
    let second = sigmoid.jvp().call(((x.clone(),), (ones.clone(),)))?.1;
    let curve = sigmoid.jvp().jvp();
    let third = curve
        .call((
            ((x.clone(),), (ones.clone(),)),
            ((ones.clone(),), ([0.0; 4].into(),)),
        ))?
        .1
        .1;
    for f in log1pexp() {
        near(&f.jvp().call(((x.clone(),), (ones.clone(),)))?.1, &slope);
        near(&f.vjp().call(((x.clone(),), ones.clone()))?.1.0, &slope);
        let g = f.clone();
        let sum = Function::new(move |x: &Tensor| g.apply((x.clone(),)).sum(..));
        let dsum = sum.grad();
        near(&dsum.call((x.clone(),))?, &slope);
        // Forward over reverse, and reverse over reverse.
        near(
            &dsum.jvp().call(((x.clone(),), (ones.clone(),)))?.1,
            &second,
        );
        let g = dsum.clone();
        let again = Function::new(move |x: &Tensor| g.apply((x.clone(),)).sum(..)).grad();
        near(&again.call((x.clone(),))?, &second);
        near(
            &again.jvp().call(((x.clone(),), (ones.clone(),)))?.1,
            &third,
        );
        // Whole derivatives and batches.
        let rows = Array::from([[-2.0, 0.0], [3.0, 800.0]]);
        near(
            &dsum.vmap().call((rows.clone(),))?,
            &sigmoid.call((rows.clone(),))?,
        );
        let batched = sum.vmap();
        let g = Function::new(move |x: &Tensor| batched.apply((x.clone(),)).sum(..)).grad();
        near(&g.call((rows.clone(),))?, &sigmoid.call((rows,))?);
        let jacobian = f.jacobian().call((x.clone(),))?;
        assert_eq!(jacobian.shape().dims(), [4, 4]);
    }
    Ok(())
}

#[test]
fn the_text_keeps_function_and_rule() -> Result<(), Error> {
    for (f, kind) in log1pexp().iter().zip(["jvp", "vjp"]) {
        let graph = f.graph(&(scalar(),))?;
        let text = print(&graph);
        assert!(
            text.contains(&format!(
                "custom(x, f=log1pexp_2, {kind}=log1pexp_{kind}_rule)"
            )),
            "{text}"
        );
        let read = cotangent::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(read.entry(), &*graph);
        // Derivatives of what was read are those of the rule.
        let df = cotangent::transform::grad(read.entry(), &[true])?;
        let slope = cotangent::eval(&df, &[800.0.into()]).expect("a slope");
        assert_eq!(slope, [1.0.into()]);
    }
    Ok(())
}

#[test]
fn a_rule_costs_nothing_when_compiled() -> Result<(), Error> {
    let [f, _] = log1pexp();
    let graph = f.graph(&(scalar(),))?;
    let plan = cotangent_compile_steps(&graph);
    assert_eq!(plan, ["exp", "log1p"]);
    let gradient = f.grad().graph(&(scalar(),))?;
    assert_eq!(cotangent_compile_steps(&gradient), ["sigmoid"]);
    Ok(())
}

/// The names of the steps of a graph's plan.
fn cotangent_compile_steps(graph: &cotangent::Graph) -> Vec<String> {
    let target = cotangent_compile::Target {
        fuse: false,
        ..cotangent_compile::Target::plain()
    };
    let plan = cotangent_compile::compile(graph, &target);
    let plan = plan.expect("a plan");
    plan.steps.iter().map(|s| s.op.name().to_owned()).collect()
}

#[test]
fn rounding_goes_straight_through() -> Result<(), Error> {
    let round = Function::new(|x: &Tensor| x.round()).with_jvp(|_x: One, _y: Tensor, (t,): One| t);
    let f = Function::new(move |x: &Tensor| (round.apply((x.clone(),)) * x).sum(..));
    // d(round(x) x) = x + round(x)
    let g = f.grad().call(([0.4, 1.75].into(),))?;
    assert_eq!(g, [0.4, 3.75].into());
    let (_, t) = f
        .jvp()
        .call((([0.4, 1.75].into(),), ([1.0, 0.0].into(),)))?;
    assert_eq!(t, 0.4.into());
    Ok(())
}

#[test]
fn a_rule_for_reverse_mode_alone_clips_and_refuses_forward_mode() -> Result<(), Error> {
    let clip = Function::new(|x: &Tensor| x.clone())
        .named("clip", ["x"])
        .with_backward(|_x: One, _y: Tensor, ct: Tensor| (ct.clamp(-1.0, 1.0),));
    let c = clip.clone();
    let f = Function::new(move |x: &Tensor| (c.apply((x.clone(),)).square() * 0.25).sum(..));
    let x = Array::from([-8.0, 1.0, 3.0]);
    assert_eq!(f.grad().call((x.clone(),))?, [-1.0, 0.5, 1.0].into());
    // Reverse over reverse mode differentiates the clipping.
    let g = f.grad();
    let hv = Function::new(move |x: &Tensor| g.apply((x.clone(),)).sum(..)).grad();
    assert_eq!(hv.call((x.clone(),))?, [0.0, 0.5, 0.0].into());
    // Inside of a loop.
    let c = clip.clone();
    let looped = Function::new(move |x: &Tensor| {
        cotangent::control::fori_loop(3, |_, y: Tensor| c.apply((y,)) * 2.0, x.clone()).sum(..)
    });
    assert_eq!(looped.grad().call((x.clone(),))?, [1.0, 1.0, 1.0].into());
    // Batched.
    let rows = Array::from([[-8.0, 1.0, 3.0], [0.0, 2.0, -4.0]]);
    let g = f.grad().vmap().call((rows,))?;
    assert_eq!(g, [[-1.0, 0.5, 1.0], [0.0, 1.0, -1.0]].into());
    let error = f
        .jvp()
        .call(((x.clone(),), (x,)))
        .expect_err("no forward mode");
    let message = error.to_string();
    assert!(
        message.contains("`clip_backward_rule` is a rule for reverse mode alone"),
        "{message}"
    );
    assert!(message.starts_with(file!()), "{message}");
    Ok(())
}

#[test]
fn rules_take_trees_integers_and_several_results() -> Result<(), Error> {
    // Row i of a table, doubled, and the sum of the table; i has no tangent.
    let f = Function::new(|table: &Tensor, i: &Tensor| (table.take(i, 0) * 2.0, table.sum(..)));
    let ruled = f.with_jvp(
        |(_, i): (Tensor, Tensor), _y: (Tensor, Tensor), (t, _): (Tensor, Tensor)| {
            (t.take(&i, 0) * 2.0, t.sum(..))
        },
    );
    let (table, i) = (Array::from([[1.0, 2.0], [3.0, 4.0]]), Array::from(1));
    let cotangents = (Array::from([1.0, 10.0]), Array::from(100.0));
    let plain = f
        .vjp()
        .call(((table.clone(), i.clone()), cotangents.clone()))?;
    let custom = ruled
        .vjp()
        .call(((table.clone(), i.clone()), cotangents.clone()))?;
    assert_eq!(plain, custom);
    // Only one result is used, only one argument varies.
    let first = Function::new(move |table: &Tensor| {
        ruled
            .apply((table.clone(), Tensor::scalar(0_i64)))
            .0
            .sum(..)
    });
    let g = first.grad().call((table.clone(),))?;
    assert_eq!(g, [[2.0, 2.0], [0.0, 0.0]].into());
    let batched = first
        .grad()
        .vmap()
        .call(([[[1.0, 2.0]], [[3.0, 4.0]]].into(),))?;
    assert_eq!(batched, [[[2.0, 2.0]], [[2.0, 2.0]]].into());
    Ok(())
}

#[test]
fn sparse_derivatives_and_taylor_mode_know_of_rules() -> Result<(), Error> {
    let round = Function::new(|x: &Tensor| x.round())
        .named("straight", ["x"])
        .with_jvp(|_x: One, _y: Tensor, (t,): One| t);
    // By its operations the function is flat, by its rule it is the identity.
    let pattern = round.sparsity(&(TensorType::new(DType::F64, [2]),))?;
    assert_eq!(pattern.len(), 4);
    let error = round.jet().call((([1.5].into(),), ([[1.0]].into(),)));
    let error = error.expect_err("no Taylor coefficients").to_string();
    assert!(
        error.contains("`straight` has no Taylor coefficients"),
        "{error}"
    );
    Ok(())
}

#[test]
fn complex_numbers_have_rules_too() -> Result<(), Error> {
    let plain = Function::new(|z: &Tensor| z * z.conj() * z);
    let jvp = plain.with_jvp(|(z,): One, _: Tensor, (t,): One| {
        let t_conj = t.conj();
        t * &z * z.conj() * 2.0 + t_conj * &z * z
    });
    let vjp = plain.with_vjp(|(z,): One, _: Tensor, ct: Tensor| {
        // Cotangents pair with tangents by the real part of their product.
        (&ct * &z * z.conj() * 2.0 + (ct * &z * &z).conj(),)
    });
    let z = Array::from([cotangent::Complex64::new(1.0, 2.0)]);
    let t = Array::from([cotangent::Complex64::new(-0.5, 3.0)]);
    let near = |x: &Array, y: &Array| {
        let pairs = x.scalars().zip(y.scalars());
        pairs
            .into_iter()
            .all(|(x, y)| (x.to_complex() - y.to_complex()).norm() < 1e-12)
    };
    let (push, pull) = (
        plain.jvp().call(((z.clone(),), (t.clone(),)))?.1,
        plain.vjp().call(((z.clone(),), t.clone()))?.1.0,
    );
    for f in [jvp, vjp] {
        let (_, found) = f.jvp().call(((z.clone(),), (t.clone(),)))?;
        assert!(near(&found, &push), "{found} and {push}");
        let (_, (found,)) = f.vjp().call(((z.clone(),), t.clone()))?;
        assert!(near(&found, &pull), "{found} and {pull}");
    }
    Ok(())
}

#[test]
fn a_zero_tangent_stays_zero_through_a_rule() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor, y: &Tensor| x.sqrt() * y).with_jvp(
        |(x, y): (Tensor, Tensor), _: Tensor, (t, u): (Tensor, Tensor)| {
            t * y / (x.sqrt() * 2.0) + u * x.sqrt()
        },
    );
    // Only y varies, so the pole of the derivative by x at 0 does not matter.
    let g = f.grad_of::<1>().call((0.0.into(), 3.0.into()))?;
    assert_eq!(g, 0.0.into());
    Ok(())
}

fn shifted(calls: Arc<AtomicUsize>) -> Native {
    Native::new(
        "shifted",
        |operands| match operands {
            [x] if x.dtype == DType::F64 => Ok(vec![x.clone()]),
            _ => Err(format!(
                "expected one operand of f64, found {}",
                operands.len()
            )),
        },
        move |operands: &[Array]| -> Result<Vec<Array>, ArrayError> {
            calls.fetch_add(1, Ordering::Relaxed);
            let values: Vec<f64> = numbers(&operands[0]).iter().map(|x| x * x + 0.5).collect();
            Ok(vec![Array::new(operands[0].shape(), values)?])
        },
    )
    .version(2)
    .attribute("shift", 0.5)
    .attribute("mode", "square")
}

#[test]
fn native_operations_run_print_and_read_back() -> Result<(), Error> {
    let calls = Arc::new(AtomicUsize::new(0));
    let native = shifted(calls.clone());
    let op = native.clone();
    let f = Function::new(move |x: &Tensor| custom::call(&op, [x]) * 2.0).named("f", ["x"]);
    assert_eq!(f.call(([1.0, 2.0].into(),))?, [3.0, 9.0].into());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let graph = f.graph(&(TensorType::new(DType::F64, [2]),))?;
    let text = print(&graph);
    assert!(
        text.contains("native(x, name=shifted, version=2, shift=0.5, mode=square)"),
        "{text}"
    );
    let registry = Registry::new().with(native.clone());
    let read = parse_with(&text, &registry).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(read.entry(), &*graph);
    let out = cotangent::eval(read.entry(), &[[1.0, 2.0].into()]).expect("values");
    assert_eq!(out, [[3.0, 9.0].into()]);
    // Another version or attribute is another operation.
    let other = text.replace("version=2", "version=3");
    let error = parse_with(&other, &registry)
        .expect_err("no version 3")
        .to_string();
    assert!(
        error.contains("it has native(name=shifted, version=2, shift=0.5, mode=square)"),
        "{error}"
    );
    let error = cotangent::parse(&text)
        .expect_err("no registry")
        .to_string();
    assert!(error.contains("it is empty"), "{error}");
    // Outside of any trace it runs at once.
    assert_eq!(custom::call(&native, [&3.0.into()]).item::<f64>()?, 9.5);
    Ok(())
}

#[test]
fn a_batch_of_native_operations_is_a_loop_of_calls() -> Result<(), Error> {
    let calls = Arc::new(AtomicUsize::new(0));
    let native = shifted(calls.clone());
    let f = Function::new(move |x: &Tensor| custom::call(&native, [x]));
    let batched = f.vmap();
    let x = Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let y = batched.call((x.clone(),))?;
    assert_eq!(y, [[1.5, 4.5], [9.5, 16.5], [25.5, 36.5]].into());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let text = print(&*batched.graph(&(x,))?);
    assert!(
        text.contains("scan(x, body=one_call, carry=0, scanned=1, length=3)"),
        "{text}"
    );
    Ok(())
}

#[test]
fn native_operations_with_rules() -> Result<(), Error> {
    let native = shifted(Arc::default());
    let f = Function::new(move |x: &Tensor| custom::call(&native, [x]))
        .with_vjp(|(x,): One, _: Tensor, ct: Tensor| (ct * x * 2.0,));
    let sum = Function::new(move |x: &Tensor| f.apply((x.clone(),)).sum(..));
    let x = Array::from([1.0, -3.0]);
    assert_eq!(sum.grad().call((x.clone(),))?, [2.0, -6.0].into());
    assert_eq!(
        sum.hessian().call((x.clone(),))?,
        [[2.0, 0.0], [0.0, 2.0]].into()
    );
    let rows = Array::from([[1.0, -3.0], [2.0, 0.0]]);
    let g = sum.grad().vmap().call((rows,))?;
    assert_eq!(g, [[2.0, -6.0], [4.0, 0.0]].into());
    Ok(())
}

/// What the trace of a function at a vector says, and that it names a line of this file.
#[track_caller]
fn message<O: cotangent::Tree<Tensor> + 'static>(f: &Function<One, O>) -> String {
    let error = match f.trace(&(TensorType::new(DType::F64, [2]),)) {
        Ok(_) => panic!("expected an error"),
        Err(e) => e,
    };
    let message = error.to_string();
    assert!(message.starts_with(file!()), "{message}");
    message
}

#[test]
fn wrong_rules_are_errors_when_traced() {
    let f = Function::new(|x: &Tensor| x.exp()).named("f", ["x"]);
    let wrong = f.with_jvp(|_: One, _: Tensor, (t,): One| t.sum(..));
    let at = format!(":{}:", line!() - 1);
    let text = message(&wrong);
    assert!(
        text.contains("the jvp rule of `f`: expected tangents of the types of the result: at `` f64[2], found f64"),
        "{text}"
    );
    assert!(text.contains(&at), "{text}");
    let wrong = f.with_vjp(|(x,): One, _: Tensor, ct: Tensor| ((ct * x).convert(DType::F32),));
    assert!(message(&wrong).contains("at `0` f64[2], found f32[2]"));

    // Not linear: a product of tangents, an affine rule, one that forgets the tangent.
    let rules = [
        (
            f.with_jvp(|_: One, _: Tensor, (t,): One| &t * &t),
            "`mul` is not linear in the tangents",
        ),
        (
            f.with_jvp(|_: One, _: Tensor, (t,): One| t + 1.0),
            "`add` is not linear in the tangents",
        ),
        (
            f.with_jvp(|(x,): One, _: Tensor, _: One| x.sin()),
            "`sin` is not linear in the tangents",
        ),
        (
            f.with_vjp(|_: One, _: Tensor, ct: Tensor| (ct.clamp(-1.0, 1.0),)),
            "`clamp` is not linear in the cotangents, as the vjp rule of `f` must be",
        ),
    ];
    for (wrong, expected) in rules {
        let text = message(&wrong);
        assert!(text.contains(expected), "{text}");
    }
    // Linear in each branch and step.
    let fine = f.with_jvp(|(x,): One, _: Tensor, (t,): One| {
        let t = cotangent::control::fori_loop(2, |_, t: Tensor| t * x.exp(), t);
        cotangent::control::cond(&x.sum(..).greater(0.0), |t: Tensor| t, |t: Tensor| -t, t)
    });
    if let Err(e) = fine.trace(&(TensorType::new(DType::F64, [2]),)) {
        panic!("{e}");
    }
}

#[test]
fn rules_see_no_tensors_from_around() {
    let outer = Function::new(|x: &Tensor| {
        let (a, b) = (x.clone(), x.clone());
        let f = Function::new(move |y: &Tensor| y * &a);
        let g = f.with_jvp(move |_: One, _: Tensor, (t,): One| t * &b);
        g.apply((x.clone(),))
    });
    let text = message(&outer);
    assert!(
        text.contains("may use a tensor of an enclosing traced function"),
        "{text}"
    );
}

#[test]
fn native_operations_that_go_wrong_are_errors() {
    let native = shifted(Arc::default());
    let f = Function::new(move |x: &Tensor| custom::call(&native, [x]).sum(..));
    // Without a rule there is no derivative; the error comes when it is traced.
    let line = line!() - 2;
    for text in [message(&f.grad()), {
        let jvp = f.jvp();
        let x = TensorType::new(DType::F64, [2]);
        let error = jvp.trace(&((x.clone(),), (x,))).expect_err("no rule");
        error.to_string()
    }] {
        assert!(
            text.contains("`shifted` is a native operation without a rule for its derivative"),
            "{text}"
        );
        assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
    }
    // Its gradient may be stopped.
    let native = shifted(Arc::default());
    let stopped =
        Function::new(move |x: &Tensor| (custom::call(&native, [&x.stop_gradient()]) * x).sum(..));
    let g = stopped
        .grad()
        .call(([1.0, 2.0].into(),))
        .expect("a gradient");
    assert_eq!(g, [1.5, 4.5].into());

    let call = |native: Native| {
        let f = Function::new(move |x: &Tensor| custom::call(&native, [x]));
        f.call(([1.0, 2.0].into(),))
            .map(|_| ())
            .expect_err("an error")
            .to_string()
    };
    let same = |operands: &[TensorType]| Ok(operands.to_vec());
    type Results = Result<Vec<Array>, String>;
    let panics = Native::new("panics", same, |_: &[Array]| -> Results {
        panic!("no luck")
    });
    assert!(call(panics).contains("native operation `panics`: it panicked: no luck"));
    let fails = Native::new("fails", same, |_: &[Array]| -> Results {
        Err("too cold".into())
    });
    assert!(call(fails).contains("native operation `fails`: too cold"));
    let short = Native::new("short", same, |_: &[Array]| -> Results {
        Ok(vec![1.0.into()])
    });
    assert!(call(short).contains("expected result 0 to be f64[2], as it was stated, found f64"));
    let none = Native::new("none", same, |_: &[Array]| -> Results { Ok(Vec::new()) });
    assert!(call(none).contains("expected 1 results, found 0"));
    let picky = Native::new(
        "picky",
        |_| Err("expected a matrix".into()),
        |_: &[Array]| -> Results { Ok(Vec::new()) },
    );
    assert!(call(picky).contains("picky: expected a matrix (operands: f64[2])"));
    let odd = Native::new("two words", same, |_: &[Array]| -> Results {
        Ok(Vec::new())
    });
    assert!(call(odd).contains("expected a name and attributes that the text form can write"));
    let wild = Native::new(
        "wild",
        |operands| Ok(vec![operands[7].clone()]),
        |_: &[Array]| -> Results { Ok(Vec::new()) },
    );
    assert!(call(wild).contains("the types of its results panicked"));
}

#[test]
fn what_is_the_same_in_every_step_of_a_loop_may_have_a_rule() {
    let square = Function::new(|x: &Tensor| x * x)
        .with_jvp(|(x,): (Tensor,), _: Tensor, (t,): (Tensor,)| x * 2.0 * t);
    let f = Function::new(move |x: &Tensor| {
        let step = |y: Tensor, _: Tensor| {
            let fixed = square.apply((x.clone(),));
            let kept = control::checkpoint(|x: Tensor| x.sin(), x.clone());
            (y * fixed + kept, Tensor::from(0.0))
        };
        control::scan(step, x.clone(), Tensor::zeros([3], DType::F64)).0
    });
    let x = 0.7_f64;
    let (s, q) = (x.sin(), x * x);
    let value = ((x * q + s) * q + s) * q + s;
    let found = f.call((x.into(),)).unwrap().item::<f64>().unwrap();
    assert!((found - value).abs() < 1e-14);
    // x^7 + s (q^2 + q + 1)
    let slope = 7.0 * x.powi(6) + x.cos() * (q * q + q + 1.0) + s * (4.0 * x.powi(3) + 2.0 * x);
    let found = f.grad().call((x.into(),)).unwrap().item::<f64>().unwrap();
    assert!((found - slope).abs() < 1e-13, "{found} {slope}");
}
