//! Derivatives against differences, and both modes against each other.

use cotangent_graph::{Graph, eval};
use cotangent_transform::{jvp, vjp};

use super::{Check, Report};
use crate::{Array, ArrayError, Complex64, Error, Scalar};

/// How far two ways to the same number may be apart, of the largest number among them, when no difference is taken.
const EXACT: f64 = 1e-9;
/// The same when one of them is a difference.
const DIFFERENCE: f64 = 1e-6;

/// All checks of first and second derivatives at a point; the graph computes in f64.
pub(super) fn derivatives(
    graph: &Graph,
    wrt: &[bool],
    inputs: &[Array],
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Error> {
    let chosen = |values: &[Array]| -> Vec<Array> {
        values
            .iter()
            .zip(wrt)
            .filter(|(_, wrt)| **wrt)
            .map(|(value, _)| value.clone())
            .collect()
    };
    let x = chosen(inputs);
    let v = random.like(&x)?;
    let w = random.like(&x)?;
    let at = |moved: &[Array]| -> Vec<Array> {
        let mut moved = moved.iter();
        let pick = |(input, wrt): (&Array, &bool)| match wrt {
            true => moved.next().unwrap_or(input).clone(),
            false => input.clone(),
        };
        inputs.iter().zip(wrt).map(pick).collect()
    };
    let outputs = graph.output_types().len();

    let forward = match verified(jvp(graph, wrt)) {
        Ok(forward) => forward,
        Err(message) => return report.add(Check::wrong("jvp", None, message)),
    };
    let reverse = match verified(vjp(graph, wrt)) {
        Ok(reverse) => reverse,
        Err(message) => return report.add(Check::wrong("vjp", None, message)),
    };
    let pushed = eval(&forward, &[inputs, &v].concat())?;
    let (values, tangents) = pushed.split_at(outputs.min(pushed.len()));
    let floats = |arrays: &[Array]| -> Vec<Array> {
        arrays
            .iter()
            .filter(|array| array.dtype().is_inexact())
            .cloned()
            .collect()
    };
    let value =
        |x: &[Array]| -> Result<Vec<f64>, Error> { Ok(flat(&floats(&eval(graph, &at(x))?))) };
    report.add(differences(
        "jvp against central differences",
        &x,
        &v,
        &flat(tangents),
        true,
        value,
    )?)?;

    let u = random.like(&floats(values))?;
    let pulled = eval(&reverse, &[inputs, &u].concat())?;
    report.add(equal_products(
        "<u, J v> = <J^T u, v>",
        [&u, tangents],
        [&pulled, &v],
    ))?;

    // The derivative of J^T u with respect to the same inputs: a second derivative of <u, f>.
    let wrt_both: Vec<bool> = wrt.iter().copied().chain(u.iter().map(|_| false)).collect();
    let second = match verified(jvp(&reverse, &wrt_both)) {
        Ok(second) => second,
        Err(message) => return report.add(Check::wrong("second order", None, message)),
    };
    let along = |direction: &[Array]| -> Result<Vec<Array>, Error> {
        let both = eval(&second, &[inputs, &u, direction].concat())?;
        Ok(both.get(pulled.len()..).unwrap_or_default().to_vec())
    };
    let (hv, hw) = (along(&v)?, along(&w)?);
    let gradient = |x: &[Array]| -> Result<Vec<f64>, Error> {
        Ok(flat(&eval(&reverse, &[at(x), u.clone()].concat())?))
    };
    report.add(differences(
        "second order against central differences",
        &x,
        &v,
        &flat(&hv),
        false,
        gradient,
    )?)?;
    report.add(equal_products("<w, H v> = <v, H w>", [&w, &hv], [&v, &hw]))
}

fn verified(graph: Result<Graph, cotangent_transform::TransformError>) -> Result<Graph, String> {
    let graph = graph.map_err(|error| error.to_string())?;
    graph.verify().map_err(|error| error.to_string())?;
    Ok(graph)
}

pub(super) fn flat(arrays: &[Array]) -> Vec<f64> {
    arrays.iter().flat_map(parts).collect()
}

/// The numbers of an array: of complex ones the real and the imaginary part, one after the other.
pub(super) fn parts(array: &Array) -> Vec<f64> {
    match array.dtype().is_complex() {
        true => (array.scalars().map(Scalar::to_complex))
            .flat_map(|z| [z.re, z.im])
            .collect(),
        false => array.to_f64s(),
    }
}

/// An array of the dtype and shape of another, f64 or c128, with these numbers.
fn like(array: &Array, numbers: &[f64]) -> Result<Array, ArrayError> {
    let shape = array.shape().clone();
    match array.dtype().is_complex() {
        true => {
            let pairs = numbers.as_chunks::<2>().0.iter();
            let values = pairs.map(|[re, im]| Complex64::new(*re, *im));
            Array::new(shape, values.collect::<Vec<_>>())
        }
        false => Array::new(shape, numbers),
    }
}

/// The cotangents with which real products give those of complex numbers: Re((a + ib)(c + id)) = ac - bd.
pub(super) fn paired(arrays: &[Array]) -> Vec<f64> {
    let signed = |array: &Array| {
        let complex = array.dtype().is_complex();
        let numbers = parts(array).into_iter().enumerate();
        numbers
            .map(|(i, x)| if complex && i % 2 == 1 { -x } else { x })
            .collect::<Vec<f64>>()
    };
    arrays.iter().flat_map(signed).collect()
}

/// The sums of products of both pairs are equal.
fn equal_products(name: &str, left: [&[Array]; 2], right: [&[Array]; 2]) -> Check {
    let product = |[a, b]: [&[Array]; 2]| {
        let terms = paired(a)
            .into_iter()
            .zip(flat(b))
            .map(|(a, b)| if a == 0.0 { 0.0 } else { a * b });
        terms.fold((0.0, 0.0), |(sum, size): (f64, f64), term| {
            (sum + term, size + term.abs())
        })
    };
    let ((left, left_size), (right, right_size)) = (product(left), product(right));
    // Rounding is as large as the terms, of which much may cancel.
    let size = left_size.max(right_size);
    let error = if left == right {
        0.0
    } else {
        (left - right).abs() / size
    };
    if error <= EXACT {
        Check::ok(name, Some(error), format!("relative error {error:.1e}"))
    } else {
        let detail = format!("{left:e} and {right:e}, relative error {error:.1e}");
        Check::wrong(name, Some(error), detail)
    }
}

/// Compares directional derivatives with differences of values along the direction.
///
/// Each element takes the step at which both agree best: short steps suffer from rounding, long ones from kinks and
/// poles near by. A wrong derivative is wrong at all of them. With `kinks`, a derivative that lies between the
/// one-sided differences is right too.
pub(super) fn differences(
    name: &str,
    x: &[Array],
    direction: &[Array],
    derivative: &[f64],
    kinks: bool,
    value: impl Fn(&[Array]) -> Result<Vec<f64>, Error>,
) -> Result<Check, Error> {
    const STEPS: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];
    /// One-sided differences at the shortest step that are further apart mean a kink.
    const KINK: f64 = 1e-2;
    let here = value(x)?;
    let size = |values: &[f64]| values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    let unit = size(&flat(x)).max(1.0);
    let mut errors = vec![f64::INFINITY; derivative.len().min(here.len())];
    for step in STEPS {
        let h = step * unit;
        // Two central differences remove each other's leading error (Richardson).
        let (mut steps, mut finite) = (Vec::new(), true);
        for factor in [h, -h, h / 2.0, -h / 2.0] {
            let values = value(&moved(x, direction, factor)?).unwrap_or_default();
            finite &= values.len() == here.len() && values.iter().all(|x| x.is_finite());
            steps.push(values);
        }
        let ([up, down, half_up, half_down], true) = (&steps[..], finite) else {
            continue;
        };
        for (i, error) in errors.iter_mut().enumerate() {
            let long = (up[i] - down[i]) / (2.0 * h);
            let short = (half_up[i] - half_down[i]) / h;
            let estimate = (4.0 * short - long) / 3.0;
            *error = error.min((derivative[i] - estimate).abs());
            let (right, left) = ((up[i] - here[i]) / h, (here[i] - down[i]) / h);
            let bent = (right - left).abs() > KINK * right.abs().max(left.abs());
            if kinks && step == STEPS[STEPS.len() - 1] && bent {
                let outside =
                    (left.min(right) - derivative[i]).max(derivative[i] - left.max(right));
                *error = error.min(outside.max(0.0));
            }
        }
    }
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let nan = derivative.iter().any(|x| !x.is_finite());
    // Values that are large beside their derivatives leave only few digits to the differences.
    let relative = worst / size(derivative).max(1e-3 * size(&here)).max(1e-6);
    Ok(if relative <= DIFFERENCE && !nan {
        let detail = format!("largest relative error {relative:.1e}");
        Check::ok(name, Some(relative), detail)
    } else if nan {
        Check::wrong(name, None, "the derivative is not finite".to_owned())
    } else {
        let detail = format!("largest relative error {relative:.1e}");
        Check::wrong(name, Some(relative), detail)
    })
}

/// x + h * direction
fn moved(x: &[Array], direction: &[Array], h: f64) -> Result<Vec<Array>, ArrayError> {
    let step = |(x, d): (&Array, &Array)| {
        let values = parts(x).into_iter().zip(parts(d)).map(|(x, d)| x + h * d);
        like(x, &values.collect::<Vec<f64>>())
    };
    x.iter().zip(direction).map(step).collect()
}

/// The largest difference relative to the largest expected number; `Err` with it beyond the limit.
pub(super) fn close(found: &[f64], expected: &[f64], limit: f64) -> Result<f64, f64> {
    let size = expected
        .iter()
        .filter(|x| x.is_finite())
        .fold(f64::MIN_POSITIVE, |size, x| size.max(x.abs()));
    let mut largest = if found.len() == expected.len() {
        0.0
    } else {
        f64::INFINITY
    };
    for (found, expected) in found.iter().zip(expected) {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        let error = if same {
            0.0
        } else {
            (found - expected).abs() / size
        };
        largest = largest.max(if error.is_nan() { f64::INFINITY } else { error });
    }
    if largest <= limit {
        Ok(largest)
    } else {
        Err(largest)
    }
}

/// Random numbers by seed: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(super) struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in the interval.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below the bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Arrays of the same shapes with numbers from -1 to 1.
    pub(super) fn like(&mut self, arrays: &[Array]) -> Result<Vec<Array>, ArrayError> {
        let mut made = Vec::new();
        for array in arrays {
            let count = parts(array).len();
            let values: Vec<f64> = (0..count).map(|_| self.between(-1.0, 1.0)).collect();
            made.push(like(array, &values)?);
        }
        Ok(made)
    }
}
