//! Why gradients are zero, and why values are kept.

use cotangent::explain::{self, Explanation};
use cotangent::{Array, DType, Error, Function, Tensor, TensorType, control};

/// The explanation of a function of one vector at [1, -2].
#[track_caller]
fn why<F>(f: F) -> Explanation
where
    F: Fn(&Tensor) -> Tensor + Send + Sync + 'static,
{
    let all = Function::new(f).explain(([1.0, -2.0].into(),));
    let mut all = all.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Fails unless the gradient is zero for this one reason, at a line of this file.
#[track_caller]
fn only(found: &Explanation, reason: &str) {
    assert!(found.is_zero(), "{found}");
    assert_eq!(found.ends.len(), 1, "{found}");
    let end = &found.ends[0];
    assert!(end.reason.contains(reason), "{found}");
    if !reason.contains("not used") {
        let place = end.location.map(|l| l.to_string()).unwrap_or_default();
        assert!(place.starts_with(file!()), "{found}");
    }
}

#[test]
fn every_reason_is_said_in_words() {
    only(
        &why(|x| x.stop_gradient().sum(..)),
        "`stop_gradient` ends it",
    );
    only(
        &why(|_| Tensor::scalar(1.0)),
        "is not used by anything that an output depends on",
    );
    only(&why(|x| x.round().sum(..)), "`round` is flat");
    only(
        &why(|x| x.greater(0.0).convert(DType::F64).sum(..)),
        "`gt` compares it: a bool has no derivative",
    );
    only(
        &why(|x| x.convert(DType::I64).convert(DType::F64).sum(..)),
        "it is converted to i64, which has no derivative",
    );
    only(
        &why(|x| x.argmax(0).convert(DType::F64)),
        "`argmax` gives i64, which has no derivative",
    );
    only(
        &why(|x| (x * 0.0).sum(..)),
        "`mul` multiplies by a factor that is exactly 0",
    );
    only(
        &why(|x| x.maximum(3.0).sum(..)),
        "`maximum` takes the other operand",
    );
    only(
        &why(|x| x.clamp(5.0, 6.0).sum(..)),
        "`clamp` takes another of its operands",
    );
    only(
        &why(|x| (x - 1.0).at(0).powi(2)),
        "the derivative of `powi` by it is 0 at this point",
    );
    only(
        &why(|x| (x - x).sum(..)),
        "the derivatives by the operands of `sub` cancel",
    );
}

#[test]
fn paths_are_followed_into_calls_branches_and_loops() {
    let inner = Function::new(|x: &Tensor| x.floor().sum(..));
    only(
        &why(move |x| inner.apply_as_call((x.clone(),))),
        "`floor` is flat",
    );
    let branch = why(|x| {
        let p = Tensor::scalar(true);
        control::cond(
            &p,
            |_: Tensor| Tensor::scalar(2.0),
            |x: Tensor| x.sum(..),
            x.clone(),
        )
    });
    only(
        &branch,
        "`cond` takes the arm `then` here, which does not use it",
    );
    let looped = why(|x| control::fori_loop(2, |_, y: Tensor| y.floor(), x.clone()).sum(..));
    only(&looped, "the results of `scan` do not vary with it here");
    let ruled = Function::new(|x: &Tensor| x.exp())
        .named("ruled", ["x"])
        .with_jvp(|_: (Tensor,), _: Tensor, (t,): (Tensor,)| t * 0.0);
    only(
        &why(move |x| ruled.apply((x.clone(),)).sum(..)),
        "the jvp rule of `ruled` gives 0 for it",
    );
}

#[test]
fn the_arm_of_a_select_that_is_not_taken() {
    let found = why(|x| {
        let big = x.sum(..).greater(100.0).broadcast_to([2]);
        big.select(x.sin(), x.floor()).sum(..)
    });
    assert!(found.is_zero());
    let text = found.to_string();
    assert!(text.starts_with("x: the gradient is zero here\n"), "{text}");
    for part in [
        "`gt` compares it",
        "`select` takes the other arm",
        "`floor` is flat",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // Elements that are masked each on their own path: nothing reaches the output.
    let found = why(|x| {
        let positive = x.greater(0.0);
        let half = positive.select(x, 0.0);
        positive.select(0.0, half).sum(..)
    });
    assert!(
        found.is_zero() && found.to_string().contains("takes the other arm"),
        "{found}"
    );
}

#[test]
fn a_gradient_that_is_not_zero() -> Result<(), Error> {
    let found = why(|x| x.sin().sum(..) + x.floor().sum(..));
    assert!(!found.is_zero());
    assert!(
        found
            .to_string()
            .contains("not zero here, but some paths end"),
        "{found}"
    );
    // Leaves that are no floats have nothing to explain.
    let f = Function::new(|p: &(Tensor, Tensor)| p.0.take(&p.1, 0));
    let all = f.explain(((Array::from([1.0, 2.0]), 1.into()),))?;
    assert_eq!(all.len(), 1);
    assert!(!all[0].is_zero());
    Ok(())
}

#[test]
fn kept_values_say_what_they_are_for() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        let e = x.exp();
        (e.tanh() * x).sum(..)
    });
    let graph = f.graph(&(TensorType::new(DType::F64, [3]),))?;
    let kept = explain::residuals(&graph, &[true])?;
    let names: Vec<&str> = kept.iter().map(|r| &*r.of).collect();
    // tanh(e) is kept for the derivative of the product, and 1 - tanh(e)^2 is had from it.
    assert_eq!(names, ["input x", "exp", "tanh"]);
    let needs = |i: usize| -> Vec<&str> { kept[i].needs.iter().map(|n| &*n.op).collect() };
    assert_eq!(needs(0), ["mul"]);
    assert_eq!(needs(1), ["exp"]);
    assert!(needs(2).contains(&"mul"), "{:?}", needs(2));
    assert!(kept.iter().all(|r| r.bytes == 24));
    let place = kept[1].needs[0].to_string();
    assert!(
        place.starts_with(&format!("exp at {}:", file!())),
        "{place}"
    );
    Ok(())
}
