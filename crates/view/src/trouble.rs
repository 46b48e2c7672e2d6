//! The way of a value that is not finite through a function.

use std::cell::RefCell;
use std::collections::HashMap;

use cotangent_array::{Array, Scalar};
use cotangent_graph::{Evaluator, Graph, Listing, Op, Var};

use crate::ViewError;
use crate::model::{Hop, Named, Trouble, Value};

/// The longest way that is shown whole.
const MOST_HOPS: usize = 200;

/// The way from the first operation whose operands are finite and whose result is not, through one
/// result after another that is not finite, to an output. `None` where every output is finite.
///
/// `message` says what went wrong; `source` gives a line of the user's source for a place in it.
///
/// # Errors
/// Inputs that do not fit, or an index out of range.
pub fn trouble(
    graph: &Graph,
    inputs: &[Array],
    message: &str,
    source: &dyn Fn(cotangent_graph::Location) -> Option<String>,
) -> Result<Option<Trouble>, ViewError> {
    let values: RefCell<HashMap<Var, Array>> = RefCell::default();
    let own: *const Graph = graph;
    let outputs = Evaluator::observed(|of: &Graph, v, array| {
        // Variables of called graphs have numbers of their own.
        if std::ptr::eq(of, own) {
            values.borrow_mut().insert(v, array.clone());
        }
    })
    .run(graph, inputs)?;
    let mut values = values.into_inner();
    for ((_, v), array) in graph.inputs().iter().zip(inputs) {
        values.insert(*v, array.clone());
    }
    let bad = |v: &Var| {
        values
            .get(v)
            .is_some_and(|a| !a.scalars().all(Scalar::is_finite))
    };
    let Some((&end, _)) = (graph.outputs().iter().zip(&outputs)).find(|(o, _)| bad(o)) else {
        return Ok(None);
    };
    // Backward from the output along operands that are not finite; a tuple has no value of its own,
    // so the way goes through it.
    let mut way = vec![end];
    while let Some(&last) = way.last() {
        let e = graph.equation(last);
        let through = match e.op {
            Op::Get(_) => graph.equation(e.args[0]),
            _ => e,
        };
        match through.args.iter().find(|a| bad(a)) {
            Some(next) => way.push(*next),
            None => break,
        }
    }
    way.reverse();
    if way.len() > MOST_HOPS {
        way.drain(MOST_HOPS / 2..way.len() - MOST_HOPS / 2);
    }
    let listing = Listing::new(graph);
    let lines = listing.lines(graph);
    let hops = way.iter().map(|v| {
        let e = graph.equation(*v);
        let (text, e) = match e.op {
            Op::Get(_) => (&lines[e.args[0].index()].text, graph.equation(e.args[0])),
            _ => (&lines[v.index()].text, e),
        };
        let text = match text.is_empty() {
            true => format!("{} is an input", lines[v.index()].name),
            false => text.clone(),
        };
        let operands = e.args.iter().filter_map(|a| {
            Some(Named {
                name: lines[a.index()].name.clone(),
                value: Value::of(values.get(a)?),
            })
        });
        Hop {
            text,
            place: e.location.map(|l| l.to_string()),
            source: e.location.and_then(source),
            operands: operands.collect(),
            value: values.get(v).map(Value::of).unwrap_or_default(),
        }
    });
    Ok(Some(Trouble {
        message: message.to_owned(),
        path: hops.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_begins_where_finite_operands_give_something_else() {
        let text = "fn f(x: f64[3]) -> f64 { let y = log(x); let z = y * 2.0; sum(z + x) }";
        let graph = cotangent_graph::parse(text).unwrap().entry().clone();
        let way =
            |x: [f64; 3]| trouble(&graph, &[Array::from(x)], "log gives nan", &|_| None).unwrap();
        let found = way([1.0, -1.0, 2.0]).unwrap();
        let texts: Vec<&str> = found.path.iter().map(|h| &h.text[..]).collect();
        assert_eq!(texts.len(), 4);
        assert!(texts[0].contains("log(x)") && texts[3].contains("sum"));
        assert_eq!(
            found.path[0].value.texts,
            ["0.0", "nan", "0.6931471805599453"]
        );
        assert_eq!(way([1.0, 2.0, 3.0]), None);
        let found = way([f64::INFINITY, 1.0, 1.0]).unwrap();
        assert_eq!(found.path[0].text, "x is an input");
    }
}
