//! Which function of a text calls which.

use std::collections::HashMap;

use super::calls::is_region;
use crate::text::ast::{Expr, ExprKind, Function, Subscript};
use crate::text::{At, ParseError};

/// An order in which callees come before their callers; by a work list.
pub(super) fn callees_first(
    functions: &[Function],
    places: &HashMap<&str, usize>,
) -> Result<Vec<usize>, ParseError> {
    let calls: Vec<Vec<(usize, At)>> = functions.iter().map(|f| calls_of(f, places)).collect();
    let mut order = Vec::new();
    // 0 new, 1 on the path from the root, 2 done.
    let mut state = vec![0_u8; functions.len()];
    for root in 0..functions.len() {
        let mut work = vec![(root, functions[root].at, false)];
        while let Some((i, at, expanded)) = work.pop() {
            if expanded {
                state[i] = 2;
                order.push(i);
                continue;
            }
            match state[i] {
                2 => continue,
                1 => {
                    let message = format!(
                        "`{}` calls itself; recursion is not supported",
                        functions[i].name
                    );
                    return Err(ParseError::new(at, message));
                }
                _ => {}
            }
            state[i] = 1;
            work.push((i, at, true));
            work.extend(calls[i].iter().rev().map(|(j, at)| (*j, *at, false)));
        }
    }
    Ok(order)
}

/// The functions of the text that a function calls, and where.
fn calls_of(function: &Function, places: &HashMap<&str, usize>) -> Vec<(usize, At)> {
    let mut found = Vec::new();
    let mut work: Vec<&Expr> = function
        .lets
        .iter()
        .map(|l| &l.value)
        .chain(&function.results)
        .collect();
    while let Some(e) = work.pop() {
        match &e.kind {
            ExprKind::Name(_) | ExprKind::Literal(_) => {}
            ExprKind::List(items) | ExprKind::Tuple(items) => work.extend(items),
            ExprKind::Unary(_, x) => work.push(x),
            ExprKind::Binary(_, x, y) => work.extend([&**x, &**y]),
            ExprKind::Call {
                name,
                args,
                attributes,
            } => {
                if let Some(i) = places.get(&name[..]) {
                    found.push((*i, e.at));
                }
                work.extend(args);
                for (_, value) in attributes {
                    match &value.kind {
                        // The bodies of branches and loops are functions by name.
                        ExprKind::Name(callee) if is_region(name) => {
                            found.extend(places.get(&callee[..]).map(|i| (*i, value.at)));
                        }
                        _ => work.push(value),
                    }
                }
            }
            ExprKind::Index(x, subscripts) => {
                work.push(x);
                work.extend(subscripts.iter().filter_map(|s| match s {
                    Subscript::At(e) => Some(e),
                    _ => None,
                }));
            }
        }
    }
    found.reverse();
    found
}
