//! Derivatives of orders three and four in any mix of modes, and derivatives beside batches.

use cotangent_array::Array;
use cotangent_graph::ops::Part;
use cotangent_graph::{Builder, Graph, Op, Var};

use super::derivatives::close;
use super::{Checked, Checker, Named, Verdict};
use crate::arrays::{jitter, shuffled, stack};
use crate::rewrite::scalar_cost;
use crate::walk::Spread;

/// The derivative of a scalar cost along several directions one after the other is the same in
/// every mix of modes.
pub(super) fn mixed(c: &mut Checker, graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Checked {
    let order = c.rng.size(2, 4);
    if graph.operation_count() > [60, 30, 16][order - 2] {
        return Ok(());
    }
    let cost = scalar_cost(graph).named("scalar cost")?;
    let mut at = inputs.to_vec();
    for _ in 0..order {
        at.extend(c.directions(&cost, wrt));
    }
    let mut mixes: Vec<Vec<bool>> = vec![vec![true; order]];
    for _ in 0..2 {
        mixes.push((0..order).map(|_| c.rng.chance(0.5)).collect());
    }
    mixes.dedup();
    let mut expected: Option<Spread> = None;
    for mix in mixes {
        let name: String = mix.iter().map(|f| if *f { 'f' } else { 'r' }).collect();
        let mut derived = cost.clone();
        for forward in &mix {
            derived = along(c, &derived, wrt, *forward)?;
            if derived.operation_count() > 4_000 {
                return Ok(());
            }
        }
        derived.verify().named(&format!("verify order {name}"))?;
        let spread = Spread::of(&derived, &at, 8, &mut c.rng).named(&format!("evaluate {name}"))?;
        match &expected {
            None => expected = Some(spread),
            Some(expected) => {
                close(
                    c,
                    &format!("order {order} in mixed modes"),
                    expected,
                    &spread,
                )?;
            }
        }
        if c.rng.chance(0.2) {
            let spread = c.spread(&name, &derived, &at)?;
            c.program(&format!("order {order}"), &derived, &at, &spread)?;
        }
    }
    Ok(())
}

/// The derivative of a scalar function along a direction, which becomes a further input for each
/// chosen one, in forward or in reverse mode.
fn along(c: &Checker, graph: &Graph, wrt: &[bool], forward: bool) -> Checked<Graph> {
    let mut chosen = wrt.to_vec();
    chosen.resize(graph.inputs().len(), false);
    let mut b = Builder::new("along");
    let types = graph.input_types();
    let inputs = graph.inputs().iter().zip(&types);
    let mut args: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t.clone())).collect();
    let own = args.len();
    for (ty, _) in types.iter().zip(&chosen).filter(|(_, w)| **w) {
        args.push(b.input("along", ty.clone()));
    }
    let out = if forward {
        let pushed = (c.engine.jvp)(graph, &chosen).named("jvp")?;
        b.inline(&pushed, &args).pop()
    } else {
        let pulled = cotangent_transform::grad(graph, &chosen).named("grad")?;
        let gradients = b.inline(&pulled, &args[..own]);
        let mut total = None;
        for (g, direction) in gradients.into_iter().zip(&args[own..]) {
            let product = b.mul(g, *direction);
            let axes: Vec<usize> = (0..b.rank(product)).collect();
            let part = b.sum(product, &axes);
            // Complex cotangents and tangents pair as the real part of their product.
            let part = match b.dtype(part).is_complex() {
                true => b.push(Op::Part(Part::Real), &[part]),
                false => part,
            };
            total = Some(match total {
                Some(total) => b.add(total, part),
                None => part,
            });
        }
        total
    };
    let outputs: Vec<Var> = out.into_iter().collect();
    Ok(b.finish(&outputs).named("along")?.without_dead_code())
}

/// The derivative of a batch is the batch of the derivatives, in both modes.
pub(super) fn batched(c: &mut Checker, graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Checked {
    let size = 2;
    let count = inputs.len();
    let forward = (c.engine.jvp)(graph, wrt).named("jvp")?;
    let reverse = (c.engine.vjp)(graph, wrt).named("vjp")?;
    if forward.operation_count() > 400 || reverse.operation_count() > 400 {
        return Ok(());
    }
    let stacked = |c: &mut Checker, arrays: &[Array], by: f64| -> Checked<Vec<Array>> {
        let mut all = Vec::new();
        for a in arrays {
            let other = match a.dtype().is_inexact() {
                true => jitter(a, by, &mut c.rng),
                false => shuffled(a, &mut c.rng),
            };
            all.push(
                stack(&[a.clone(), other], 0)
                    .ok_or("stack")
                    .named("stack")?,
            );
        }
        Ok(all)
    };
    let axes = |n: usize| vec![Some(0); n];
    let batch = (c.engine.vmap)(graph, &axes(count), size).named("vmap")?;
    let at = stacked(c, inputs, 0.05)?;
    for (mode, derived, of_batch) in [
        ("jvp", &forward, (c.engine.jvp)(&batch, wrt)),
        ("vjp", &reverse, (c.engine.vjp)(&batch, wrt)),
    ] {
        let of_batch = of_batch.named(&format!("{mode} of vmap"))?;
        c.sound(&format!("of {mode} of vmap"), &of_batch)?;
        let further = match mode {
            "jvp" => c.directions(graph, wrt),
            _ => c.cotangents(graph),
        };
        let at = [&at[..], &stacked(c, &further, 0.5)?].concat();
        let all = (c.engine.vmap)(derived, &axes(at.len()), size).named("vmap")?;
        let one = Spread::of(&all, &at, 8, &mut c.rng);
        let other = Spread::of(&of_batch, &at, 8, &mut c.rng);
        match (one, other) {
            // An example with an index out of range fails both.
            (Err(_), Err(_)) => continue,
            (one, other) => {
                let one = one.named(&format!("evaluate vmap of {mode}"))?;
                let other = other.named(&format!("evaluate {mode} of vmap"))?;
                // Other examples than the first stand elsewhere, perhaps at a kink.
                if one.stable && other.stable {
                    match close(c, &format!("{mode} and vmap commute"), &one, &other) {
                        Err(Verdict::Unstable(_)) => {}
                        checked => checked?,
                    }
                }
            }
        }
    }
    Ok(())
}
