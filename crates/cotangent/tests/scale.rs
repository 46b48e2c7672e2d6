//! Long chains and many leaves: linear time, no recursion.

use cotangent::{Array, DType, Error, Function, Tensor, TensorType};

#[test]
fn a_chain_of_a_million_operations_is_traced() -> Result<(), Error> {
    let graph = chain(1_000_000).graph(&(TensorType::scalar(DType::F64),))?;
    assert_eq!(graph.operation_count(), 1_000_000);
    Ok(())
}

#[test]
fn a_long_chain_is_differentiated_and_run() -> Result<(), Error> {
    let length = 100_000;
    let g = chain(length).grad();
    let graph = g.graph(&(TensorType::scalar(DType::F64),))?;
    assert!((length..10 * length).contains(&graph.operation_count()));
    let expected = (0..length).fold((0.5_f64, 1.0_f64), |(y, d), i| match i % 2 {
        0 => (y.sin(), d * y.cos()),
        _ => (y * 1.5, d * 1.5),
    });
    let found = g.call((0.5.into(),))?.item::<f64>()?;
    assert!(
        (found - expected.1).abs() <= 1e-9 * expected.1.abs(),
        "{found} {expected:?}"
    );
    Ok(())
}

fn chain(length: usize) -> Function<(Tensor,), Tensor> {
    Function::new(move |x: &Tensor| {
        (0..length).fold(x.clone(), |y, i| if i % 2 == 0 { y.sin() } else { y * 1.5 })
    })
}

#[test]
fn many_leaves_are_ordinary() -> Result<(), Error> {
    let f = Function::new(|x: &Vec<Tensor>| x.iter().fold(Tensor::scalar(0.0), |s, x| s + x));
    let leaves: Vec<Array> = (0..1000).map(|i| f64::from(i).into()).collect();
    assert_eq!(f.call((leaves.clone(),))?, 499_500.0.into());
    let g = f.grad().call((leaves.clone(),))?;
    assert!(g.len() == 1000 && g.iter().all(|g| *g == 1.0.into()));
    Ok(())
}
