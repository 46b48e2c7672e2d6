//! What reverse mode keeps between forward and backward, and what for.

use std::collections::HashMap;
use std::fmt;

use cotangent_graph::{Location, Var};
use cotangent_transform as transform;

use crate::{Error, Graph, TensorType};

/// A value that reverse mode keeps.
#[derive(Clone, PartialEq, Debug)]
pub struct Residual {
    /// Its type.
    pub ty: TensorType,
    /// Its bytes.
    pub bytes: usize,
    /// What gives it: an operation, or an input by name.
    pub of: String,
    /// Where the operation was written.
    pub location: Option<Location>,
    /// What the backward pass needs it for, each once.
    pub needs: Vec<Need>,
}

/// An operation whose derivative reads a kept value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// The operation of the function, or of its derivative where that is all that is known.
    pub op: String,
    /// Where it was written.
    pub location: Option<Location>,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(location) => write!(f, "{} at {location}", self.op),
            None => f.write_str(&self.op),
        }
    }
}

/// The values that reverse mode with respect to the chosen inputs keeps, in order.
///
/// ```
/// use cotangent::{explain, parse};
/// let f = parse("fn f(x: f64[3]) -> f64 { sum(exp(x)) }")?;
/// let kept = explain::residuals(f.entry(), &[true])?;
/// assert_eq!((&*kept[0].of, kept[0].bytes), ("exp", 24));
/// assert_eq!(kept[0].needs[0].op, "exp");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A choice that does not fit, or an operation without a derivative.
pub fn residuals(graph: &Graph, wrt: &[bool]) -> Result<Vec<Residual>, Error> {
    let split = transform::linearize(graph, wrt)?;
    let primal = &split.primal;
    // The operations of the function by their places, to name what a derivative is of.
    let mut written: HashMap<Location, &str> = HashMap::new();
    for e in graph.equations() {
        if let Some(location) = e.location {
            written.entry(location.origin()).or_insert(e.op.label());
        }
    }
    let kept = primal.outputs().len().saturating_sub(split.residuals);
    let all = primal
        .outputs()
        .iter()
        .skip(kept)
        .zip(split.linear.inputs());
    let mut out = Vec::with_capacity(split.residuals);
    for (var, (_, input)) in all {
        let e = primal.equation(*var);
        let Some(ty) = e.ty.tensor().cloned() else {
            continue;
        };
        let name = primal.inputs().iter().find(|(_, v)| v == var);
        let of = match name {
            Some((name, _)) => format!("input {name}"),
            None => e.op.label().to_owned(),
        };
        out.push(Residual {
            bytes: ty.bytes(),
            ty,
            of,
            location: e.location.map(Location::origin),
            needs: needs(&split.linear, *input, &written),
        });
    }
    Ok(out)
}

/// The operations of the linear part that read a residual.
fn needs(linear: &Graph, input: Var, written: &HashMap<Location, &str>) -> Vec<Need> {
    let mut found: Vec<Need> = Vec::new();
    for e in linear
        .equations()
        .iter()
        .filter(|e| e.args.contains(&input))
    {
        let location = e.location.map(Location::origin);
        let op = location.and_then(|l| written.get(&l).copied());
        let need = Need {
            op: op.unwrap_or(e.op.label()).to_owned(),
            location,
        };
        if !found.contains(&need) {
            found.push(need);
        }
    }
    found
}
