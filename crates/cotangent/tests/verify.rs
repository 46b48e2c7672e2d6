//! Functions and derivatives checked numerically.

use cotangent::{Array, Error, Function, Mode, Tensor, TensorType};

/// The names of the checks that a report holds, and whether all hold with small errors.
#[track_caller]
fn passed(report: cotangent::check::Report) -> Vec<String> {
    assert!(report.passed(), "{report}");
    for check in report.checks() {
        assert!(check.error().is_none_or(|e| e < 1e-6), "{check}");
    }
    report
        .checks()
        .iter()
        .map(|c| c.name().to_owned())
        .collect()
}

const OF_A_FUNCTION: [&str; 6] = [
    "verifies",
    "compiled program against the reference",
    "jvp against central differences",
    "<u, J v> = <J^T u, v>",
    "second order against central differences",
    "<w, H v> = <v, H w>",
];

#[test]
fn every_derivative_is_checked_against_its_function() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor, y: &Tensor| (x.sin() * y.exp()).sum(..) * x.at(0));
    let x = || Array::from([0.3, -1.2]);
    let y = || Array::from([0.5, 0.1]);
    assert_eq!(passed(f.verify((x(), y()))?), OF_A_FUNCTION);
    let own = |report, name: &str| {
        let names = passed(report);
        assert_eq!(names[0], "compiled program against the reference");
        assert_eq!(names[1], name);
        assert_eq!(names[2..], OF_A_FUNCTION);
    };
    let gradient = "gradient against central differences";
    own(f.grad().verify((x(), y()))?, gradient);
    own(f.value_and_grad_of::<1>().verify((x(), y()))?, gradient);
    let jacobian = "Jacobian against central differences";
    own(
        f.jacobian_of::<0>(Mode::Forward).verify((x(), y()))?,
        jacobian,
    );
    own(f.hessian().verify((x(), y()))?, jacobian);
    let tangents = "tangents against central differences";
    own(f.jvp().verify(((x(), y()), (y(), x())))?, tangents);
    let cotangents = "cotangents against central differences";
    own(f.vjp().verify(((x(), y()), 2.5.into()))?, cotangents);
    let second = "second derivative against central differences";
    own(f.hvp().verify(((x(), y()), y()))?, second);
    own(
        f.grad().named("g", ["x", "y"]).verify((x(), y()))?,
        gradient,
    );
    // f32 is checked in f64, integers stay where they are.
    let g = Function::new(|x: &Tensor, i: &Tensor| x.take(i, 0).square().sum(..));
    let (a, i) = (Array::from([1.0_f32, 2.0, 3.0]), Array::from([2, 0]));
    own(g.grad().verify((a.clone(), i.clone()))?, gradient);
    own(g.vjp().verify(((a, i), 1.0_f32.into()))?, cotangents);
    Ok(())
}

#[test]
fn a_wrong_rule_is_found_and_named() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| x.exp());
    let wrong = f.with_vjp(|(x,): (Tensor,), _: Tensor, ct: Tensor| (ct * x.exp() * 1.001,));
    let sum = Function::new(move |x: &Tensor| wrong.apply((x.clone(),)).sum(..));
    let x = || Array::from([0.5, -0.3]);
    let report = sum.grad().verify((x(),))?;
    assert!(!report.passed());
    let failed: Vec<&str> = (report.checks().iter())
        .filter(|c| !c.passed())
        .map(|c| c.name())
        .collect();
    // The derivative of the wrong rule is right, so the second order agrees with its differences.
    assert_eq!(
        failed,
        [
            "gradient against central differences",
            "jvp against central differences"
        ]
    );
    let gradient = report.checks().iter().find(|c| c.name() == failed[0]);
    let error = gradient.and_then(|c| c.error()).unwrap_or_default();
    assert!((error - 1e-3).abs() < 1e-5, "{error}");
    let message = report
        .into_result()
        .map(drop)
        .expect_err("wrong")
        .to_string();
    assert!(
        message.starts_with("gradient against central differences: FAILED"),
        "{message}"
    );
    // Arguments that do not fit are errors, not reports.
    let t = TensorType::scalar(cotangent::DType::F64);
    assert!(sum.graph(&(t,)).is_ok());
    assert!(sum.hvp().verify(((x(),), 1.0.into())).is_err());
    Ok(())
}
