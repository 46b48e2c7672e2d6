//! Checked runs name the first operation that makes a value that is not finite.

use cotangent::{Array, Error, Function, Tensor, control, jvp};

#[track_caller]
fn fault<T>(result: Result<T, Error>) -> (String, Error) {
    match result {
        Ok(_) => panic!("expected a fault"),
        Err(e) => (e.to_string(), e),
    }
}

#[test]
fn a_fault_forward_names_the_users_line() {
    let f = Function::new(|x: &Tensor| {
        let y = x - 1.0;
        y.log().sum(..) * 0.0
    });
    let line = line!() - 2;
    let x = Array::from([[2.0, 3.0], [4.0, 0.5]]);
    let (message, error) = fault(f.call_checked((x,)));
    assert_eq!(
        message,
        format!(
            "{}:{line}:11: `log` gives nan at [1, 1], although its operands are finite",
            file!()
        )
    );
    assert!(
        error
            .location()
            .is_some_and(|l| l.to_string().starts_with(file!()))
    );
    let good = f.call_checked(([[2.0]].into(),));
    assert_eq!(good.expect("finite"), 0.0.into());
    // What comes in as it is is nobody's fault.
    assert!(f.call_checked(([[f64::INFINITY]].into(),)).is_ok());
}

#[test]
fn a_fault_backward_says_so() {
    // The value is finite at 0, the derivative is not.
    let f = Function::new(|x: &Tensor| x.sqrt().sum(..));
    let line = line!() - 1;
    let x = Array::from([4.0, 0.0]);
    assert!(f.call_checked((x.clone(),)).is_ok());
    let (message, _) = fault(f.grad().call_checked((x.clone(),)));
    assert!(
        message.starts_with(&format!("{}:{line}:42: ", file!())),
        "{message}"
    );
    assert!(
        message.contains(", in the derivative of what stands here, gives inf at [1]"),
        "{message}"
    );
    let (message, _) = fault(f.jvp().call_checked(((x.clone(),), ([1.0, 1.0].into(),))));
    // A tangent of zero stays zero.
    assert!(f.jvp().call_checked(((x,), ([1.0, 0.0].into(),))).is_ok());
    assert!(
        message.contains("in the derivative of what stands here"),
        "{message}"
    );
    // So does a derivative inside of a traced function.
    let f = Function::new(|x: &Tensor| jvp(|x: &Tensor| x.sqrt(), (x.clone(),), (x + 1.0,)).1);
    let (message, _) = fault(f.call_checked((0.0.into(),)));
    assert!(
        message.contains("in the derivative of what stands here"),
        "{message}"
    );
}

#[test]
fn what_a_select_leaves_out_does_no_harm() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        let logs = x.log().reshape([2, 1]).broadcast_to([2, 3]).t();
        x.greater(0.0)
            .broadcast_to([3, 2])
            .select(&logs, 0.0)
            .sum(..)
    });
    assert_eq!(f.call_checked(([1.0, -1.0].into(),))?, 0.0.into());
    // A value that came of a fault counts, finite as it is now.
    let f = Function::new(|x: &Tensor| (x.exp() + 1.0).reciprocal());
    let (message, _) = fault(f.call_checked((1000.0.into(),)));
    assert!(message.contains("`exp` gives inf"), "{message}");
    Ok(())
}

#[test]
fn calls_branches_and_loops_are_looked_into() {
    let inner = Function::new(|x: &Tensor| x.log());
    let line = line!() - 1;
    let called = inner.clone();
    let call = Function::new(move |x: &Tensor| called.apply_as_call((x.clone(),)));
    let branch = Function::new(|x: &Tensor| {
        control::cond(&x.less(0.0), |x: Tensor| x.log(), |x: Tensor| x, x.clone())
    });
    let scan = Function::new(|x: &Tensor| control::fori_loop(2, |_, y: Tensor| y.log(), x.clone()));
    let minus = || Array::from(-1.0);
    let (message, _) = fault(call.call_checked((minus(),)));
    assert!(
        message.starts_with(&format!("{}:{line}:", file!())),
        "{message}"
    );
    let (message, _) = fault(branch.call_checked((minus(),)));
    assert!(message.contains("`log` gives nan"), "{message}");
    let (message, _) = fault(scan.call_checked((minus(),)));
    assert!(message.contains("`log` gives nan"), "{message}");
    // The branch that is not taken does not run.
    assert!(branch.call_checked((1.0.into(),)).is_ok());
}

#[test]
fn an_example_that_is_done_may_hold_anything() -> Result<(), Error> {
    // Steps toward 1 until it is reached; a step from 1 itself divides 0 by 0.
    let f = Function::new(|x: &Tensor| {
        control::while_loop(
            |x: &Tensor| x.greater(1.0),
            |x: Tensor| {
                let left = &x - 1.0;
                &x - &left / &left
            },
            x.clone(),
        )
    });
    let y = f.vmap().call_checked(([1.0, 4.0, 2.0].into(),))?;
    assert_eq!(y, [1.0, 1.0, 1.0].into());
    // An example that is not done is not excused.
    let g = Function::new(|x: &Tensor| {
        control::while_loop(
            |x: &Tensor| x.greater(1.0),
            |x: Tensor| (x - 2.0).log(),
            x.clone(),
        )
    });
    let (message, _) = fault(g.vmap().call_checked(([1.0, 1.5].into(),)));
    assert!(message.contains("`log` gives nan at [1]"), "{message}");
    Ok(())
}

#[test]
fn what_a_loop_makes_finite_again_is_followed_through_its_steps() {
    // The first step makes -inf, the second 0 of it; elements and slices keep what they come of.
    let carried = Function::new(|x: &Tensor| {
        control::fori_loop(2, |_, y: Tensor| y.log().exp().sqrt().log(), x.clone()).exp()
    });
    let error = carried.call_checked((0.0.into(),)).unwrap_err().to_string();
    assert!(
        error.contains("checked.rs") && error.contains("`log` gives -inf"),
        "{error}"
    );
    let stacked = Function::new(|x: &Tensor| {
        let step = |sum: Tensor, x: Tensor| (&sum + &x, x.log().exp());
        control::scan(step, x.sum(..) * 0.0, x.clone()).1
    });
    let at = |k: i64| {
        let f = stacked.clone();
        Function::new(move |x: &Tensor| f.apply((x.clone(),)).at(k))
    };
    let x = Array::from([1.0, 0.0, 3.0]);
    let error = at(1).call_checked((x.clone(),)).unwrap_err().to_string();
    assert!(error.contains("`log` gives -inf"), "{error}");
    assert!(at(2).call_checked((x,)).is_ok());
}
