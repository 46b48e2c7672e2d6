//! One sample: value, vjp, jvp and hvp by the library's transformations, against the reference.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use cotangent::{Array, Function, Tensor, TensorType};

use crate::args::{Args, Node, Stop};
use crate::compare;
use crate::map::{self, Mapping};
use crate::sample::{Arrays, Files, Sample};

/// What became of a sample.
pub enum Verdict {
    /// With the largest relative error.
    Passed(f64),
    Failed(String),
    Skipped(String),
}

/// The largest relative error that passes.
const TOLERANCE: f64 = 1e-9;

/// A derivative that is 0 because its terms cancel comes out as what rounding leaves of them, in
/// the reference, too. A reference below this share of the largest number of its sample counts as
/// such a 0: what is found must then be as small.
const CANCELLED: f64 = 1e-11;

/// An error of a derivative below this share of the largest number of its sample is what single
/// roundings of the terms make.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Operators that PyTorch itself computes no better than `1e-6`, and why.
pub const COARSE: &[(&str, &str)] = &[
    (
        "logcumsumexp",
        "PyTorch's jvp is right to 2e-7 (compared with extended precision)",
    ),
    (
        "nn.functional.celu",
        "PyTorch's derivative takes 1 / alpha in single precision",
    ),
    (
        "nn.functional.hardsigmoid",
        "PyTorch's derivative takes 1 / 6 in single precision",
    ),
    (
        "special.bessel_j0",
        "PyTorch's own values of sample 2 are off by up to 7.6e-9 (compared with 25 digits of mpmath)",
    ),
    (
        "special.bessel_j1",
        "PyTorch's own values of sample 2 are off by up to 3.3e-9 (compared with 25 digits of mpmath)",
    ),
];

/// Judges one sample.
pub fn judge(sample: &Sample, files: &mut Files) -> Verdict {
    let Some(mapping) = map::find(&sample.op) else {
        return Verdict::Skipped(map::reason(&sample.op));
    };
    let arrays = match files.arrays(&sample.file) {
        Ok(arrays) => arrays,
        Err(e) => return Verdict::Failed(e),
    };
    // A panic would be a defect of the library or of the mapping; it must not hide the others.
    match catch_unwind(AssertUnwindSafe(|| compare(sample, mapping, arrays))) {
        Ok(Ok(worst)) => Verdict::Passed(worst),
        Ok(Err(Stop::Wrong(why))) => Verdict::Failed(why),
        Ok(Err(Stop::NotMapped(why))) => Verdict::Skipped(why),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Verdict::Failed(format!("panic: {}", text.unwrap_or("without a message")))
        }
    }
}

/// The largest relative error among the value and all derivatives.
fn compare(sample: &Sample, mapping: Mapping, arrays: &Arrays) -> Result<f64, Stop> {
    let read = |names: &[String]| {
        names
            .iter()
            .map(|n| {
                arrays
                    .get(n)
                    .cloned()
                    .ok_or_else(|| Stop::Wrong(format!("no array {n}")))
            })
            .collect::<Result<Vec<Array>, Stop>>()
    };
    let x = read(&sample.wrt)?;
    let expected = read(&sample.outs)?;
    let tolerance = if COARSE.iter().any(|(op, _)| *op == sample.op) {
        1e-6
    } else {
        TOLERANCE
    };
    let mut worst = 0.0_f64;
    let cotangents = read(&sample.cotangents)?;
    let tangents = read(sample.tangents.as_deref().unwrap_or_default())?;
    let mut magnitude = [&x, &expected, &cotangents, &tangents]
        .iter()
        .fold(0.0, |m: f64, a| m.max(compare::largest(a)));
    let mut check = |what: &str, found: &[Array], expected: &[Array]| {
        let gap = compare::gap(found, expected).map_err(|e| format!("{what}: {e}"))?;
        let cancelled = CANCELLED * magnitude;
        let noise =
            gap.error <= ROUNDING * magnitude || (gap.scale <= cancelled && gap.error <= cancelled);
        if what != "value" && noise {
            return Ok(());
        }
        magnitude = magnitude.max(gap.scale);
        worst = worst.max(gap.relative());
        if gap.relative() <= tolerance {
            return Ok(());
        }
        let compare::Gap { error, scale } = gap;
        Err(Stop::Wrong(format!(
            "{what}: error {error:.1e}, largest reference {scale:.1e}"
        )))
    };

    let operator = Operator::new(sample, mapping, arrays)?;
    let all = operator.function(None);
    let types: Vec<TensorType> = x
        .iter()
        .map(|a| TensorType::new(a.dtype(), a.shape().clone()))
        .collect();
    let traced = all.trace(&(types,));
    operator.stopped()?;
    traced.map_err(text)?;
    check("value", &all.call((x.clone(),)).map_err(text)?, &expected)?;

    let f = operator.function(Some(sample.diff_outs.clone()));
    if let Some(grad) = &sample.grad {
        let (_, (found,)) = f
            .vjp()
            .call(((x.clone(),), cotangents.clone()))
            .map_err(text)?;
        check("vjp", &found, &read(grad)?)?;
    }
    if sample.tangents.is_none() {
        return Ok(worst);
    }
    if let Some(jvp) = &sample.jvp {
        let (_, found) = f
            .jvp()
            .call(((x.clone(),), (tangents.clone(),)))
            .map_err(text)?;
        check("jvp", &found, &read(jvp)?)?;
    }
    if let Some(hvp) = &sample.hvp {
        let expected = read(hvp)?;
        let vjp = f.vjp();
        let grad = Function::new(move |x: &Vec<Tensor>| {
            let cotangents = cotangents.iter().map(Tensor::from).collect();
            let (_, (grad,)) = vjp.apply(((x.clone(),), cotangents));
            grad
        });
        let (_, forward) = grad
            .jvp()
            .call(((x.clone(),), (tangents.clone(),)))
            .map_err(text)?;
        check("hvp, forward over reverse", &forward, &expected)?;
        let (_, (reverse,)) = grad.vjp().call(((x,), tangents)).map_err(text)?;
        check("hvp, reverse over reverse", &reverse, &expected)?;
    }
    Ok(worst)
}

fn text(e: cotangent::Error) -> Stop {
    Stop::Wrong(e.to_string())
}

/// The operator of a sample with everything but its differentiated inputs.
#[derive(Clone)]
struct Operator {
    mapping: Mapping,
    variant: String,
    positional: Arc<Vec<Node>>,
    keyword: Arc<Vec<(String, Node)>>,
    /// Why the mapping gave no result, if it did not.
    stop: Arc<Mutex<Option<Stop>>>,
}

impl Operator {
    fn new(sample: &Sample, mapping: Mapping, arrays: &Arrays) -> Result<Operator, Stop> {
        let positional = sample
            .args
            .iter()
            .map(|v| Node::parse(v, &sample.wrt, arrays))
            .collect::<Result<Vec<_>, _>>()?;
        let keyword = sample
            .kwargs
            .iter()
            .map(|(k, v)| Ok((k.clone(), Node::parse(v, &sample.wrt, arrays)?)))
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Operator {
            mapping,
            variant: sample.variant.clone(),
            positional: Arc::new(positional),
            keyword: Arc::new(keyword),
            stop: Arc::default(),
        })
    }

    /// The operator as a function of its differentiated inputs; all outputs or some.
    fn function(&self, outs: Option<Vec<usize>>) -> Function<(Vec<Tensor>,), Vec<Tensor>> {
        let me = self.clone();
        Function::new(move |x: &Vec<Tensor>| {
            let args = Args::new(&me.variant, &me.positional, &me.keyword, x);
            match (me.mapping)(&args) {
                Ok(all) => match &outs {
                    None => all,
                    Some(outs) => outs.iter().filter_map(|i| all.get(*i).cloned()).collect(),
                },
                Err(stop) => {
                    *me.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
                    Vec::new()
                }
            }
        })
    }

    fn stopped(&self) -> Result<(), Stop> {
        match self
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            Some(stop) => Err(stop),
            None => Ok(()),
        }
    }
}
