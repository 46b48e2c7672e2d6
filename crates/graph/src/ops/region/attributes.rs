//! Branches and loops as the text form writes them.

use std::collections::HashMap;

use super::sweeps::SWEEPS;
use super::{Cond, Region, Scan, Sweeps, While};
use crate::ops::{Attribute, Attributes, Custom, Pullback, RuleKind, Value};
use crate::{Callee, TypeError, type_error};

impl Region {
    /// The attributes that are numbers, as the text form writes them.
    pub fn numbers(&self) -> Vec<(&'static str, Value)> {
        match self {
            Region::Cond(_) => Vec::new(),
            Region::Scan(s) => {
                let mut out = vec![
                    ("carry", s.carry.to_value()),
                    ("scanned", s.scanned.to_value()),
                    ("length", s.length.to_value()),
                ];
                if s.reverse {
                    out.push(("reverse", s.reverse.to_value()));
                }
                out
            }
            Region::While(w) => vec![("carry", w.carry.to_value())],
            Region::Sweeps(s) => vec![("carry", s.carry.to_value())],
            Region::Custom(_) => Vec::new(),
            Region::Pullback(p) => vec![("known", p.known.to_value())],
        }
    }

    /// Reads the operation with this name. `lengths` are the first axes of the operands, from which
    /// a scan takes its length where none is written.
    pub(crate) fn from_attributes(
        name: &str,
        mut callees: HashMap<String, Callee>,
        mut numbers: Attributes,
        lengths: &[usize],
    ) -> Result<Region, TypeError> {
        let custom = match name {
            "custom" => Some(Custom::from_callees(&mut callees)?),
            _ => None,
        };
        let mut callee = |what: &str| match callees.remove(what) {
            Some(c) => Ok(c),
            None => type_error!("missing attribute `{what}`: expected the name of a function"),
        };
        let region = match (name, custom) {
            (_, Some(custom)) => Region::Custom(custom),
            ("pullback", _) => Region::Pullback(Pullback {
                rule: callee("rule")?,
                known: numbers.take("known")?.unwrap_or(0),
            }),
            ("cond", _) => Region::Cond(Cond {
                then: callee("then")?,
                otherwise: callee("otherwise")?,
            }),
            ("scan", _) => {
                let body = callee("body")?;
                let carry = numbers.take("carry")?.unwrap_or(1);
                let scanned = numbers
                    .take("scanned")?
                    .unwrap_or(lengths.len().saturating_sub(carry));
                let length = match (numbers.take("length")?, scanned) {
                    (Some(n), _) => n,
                    (None, 1..) => lengths.get(carry).copied().unwrap_or(0),
                    (None, 0) => type_error!(
                        "missing attribute `length`: expected a whole number of 0 or more"
                    ),
                };
                let reverse = numbers.take("reverse")?.unwrap_or(false);
                Region::Scan(Scan {
                    body,
                    carry,
                    scanned,
                    length,
                    reverse,
                })
            }
            ("sweeps", _) => {
                let test = callee("test")?;
                let mut bodies = vec![callee("sweep0")?];
                for name in &SWEEPS[1..] {
                    match callee(name) {
                        Ok(body) => bodies.push(body),
                        Err(_) => break,
                    }
                }
                let given = bodies.iter().map(|b| b.0.outputs().len());
                let carry = numbers.take("carry")?.unwrap_or(given.collect());
                let sweeps = Sweeps {
                    test,
                    bodies,
                    carry,
                };
                Region::Sweeps(sweeps.into())
            }
            _ => {
                let (test, body) = (callee("test")?, callee("body")?);
                let carry = numbers.take("carry")?.unwrap_or(body.0.outputs().len());
                Region::While(While { test, body, carry })
            }
        };
        if let Some(other) = callees.keys().next() {
            type_error!("unknown attribute `{other}`");
        }
        numbers.finish(&["carry", "scanned", "length", "reverse", "known"])?;
        Ok(region)
    }

    /// Whether an attribute of this name is a graph that an operation runs.
    pub(crate) fn is_body(attribute: &str) -> bool {
        let own = matches!(
            attribute,
            "then" | "otherwise" | "body" | "test" | "f" | "rule"
        );
        let rule = RuleKind::ALL.iter().any(|kind| kind.name() == attribute);
        own || rule || SWEEPS.contains(&attribute)
    }
}
