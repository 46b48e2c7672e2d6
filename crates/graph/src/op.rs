//! The closed set of operations, by family.

use std::sync::Arc;

use cotangent_array::{Array, DType, Scalar, Shape};

use crate::ops::complex::COMPLEX;
use crate::ops::{
    ArrayOp, Binary, Bound, Compare, Indexed, Linalg, Native, Orders, Part, Region, Row, Special,
    Ternary, Test, Unary,
};
use crate::{Graph, TensorType, Type, TypeError, type_error};

/// How many operands an operation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Just so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl Arity {
    /// Whether this number of operands is right.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Arity::Exactly(n) => n == count,
            Arity::AtLeast(n) => count >= n,
        }
    }
}

impl std::fmt::Display for Arity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Arity::Exactly(1) => f.write_str("1 operand"),
            Arity::Exactly(n) => write!(f, "{n} operands"),
            Arity::AtLeast(n) => write!(f, "{n} or more operands"),
        }
    }
}

/// An operation: a simple function of variables with one result.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// An input of the graph.
    Input,
    /// One number everywhere: value and shape. The dtype is the number's.
    Full(Scalar, Shape),
    /// Values that are known when the graph is made. Rank 0 values are `Full`.
    Constant(Array),
    /// A row of the unary table.
    Unary(Unary),
    /// A row of the table of unary operations with a whole-number attribute.
    Indexed(Indexed, i64),
    /// A row of the binary table.
    Binary(Binary),
    /// A part of a complex number: a row of the table of operations that are linear over the reals.
    Part(Part),
    /// The complex number of a real and an imaginary part.
    Complex,
    /// A comparison.
    Compare(Compare),
    /// A test of one operand that gives a bool.
    Test(Test),
    /// `select` or `clamp`.
    Ternary(Ternary),
    /// A row of the table of special functions of several operands, with the order of
    /// differentiation in each.
    Special(Special, Orders),
    /// Conversion to another dtype: floats to integers truncate toward zero and saturate, NaN
    /// becomes 0; integers saturate; a bool is 0 or 1, and what is not 0 is true. A real number becomes
    /// a complex one with the imaginary part 0; a complex number takes `real` to become a real one.
    Convert(DType),
    /// An operation that is not pointwise.
    Array(ArrayOp),
    /// An operation of linear algebra; several results are a tuple.
    Linalg(Linalg),
    /// Calls another graph; its results are a tuple unless it has just one.
    Call(Callee),
    /// A branch or a loop, whose bodies are graphs.
    Region(Region),
    /// A Rust closure; its results are a tuple unless it has just one.
    Native(Native),
    /// One component of a tuple.
    Get(usize),
}

/// What the row or the file of an operation says of it in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Documentation {
    /// The name in texts.
    pub name: &'static str,
    /// What it does, in a sentence or more.
    pub about: &'static str,
    /// Its derivative, in words or as a formula.
    pub derivative: &'static str,
    /// The convention at kinks and at the border of the domain; empty when there is none.
    pub convention: &'static str,
}

/// The operations of the language itself, which have neither a row nor a file.
const LANGUAGE: [Documentation; 7] = [
    Documentation {
        name: "input",
        about: "An input of the function.",
        derivative: "its own tangent",
        convention: "",
    },
    Documentation {
        name: "convert",
        about: "The values in another dtype: floats to integers truncate and saturate, NaN becomes 0; what is not 0 is true.",
        derivative: "the tangent, converted",
        convention: "0 to and from integers and bool.",
    },
    Documentation {
        name: "full",
        about: "One number everywhere.",
        derivative: "0",
        convention: "",
    },
    Documentation {
        name: "constant",
        about: "Values that stand in the text.",
        derivative: "0",
        convention: "",
    },
    Documentation {
        name: "call",
        about: "Another function of the file; written by its name.",
        derivative: "that of the function",
        convention: "",
    },
    Documentation {
        name: "native",
        about: "An operation in Rust code that the reader of the text supplies, by name, version and attributes.",
        derivative: "none; the function around it may have a rule",
        convention: "",
    },
    Documentation {
        name: "get",
        about: "One component of a tuple.",
        derivative: "the component of the tangent",
        convention: "",
    },
];

/// A graph that is called, compared by its content.
#[derive(Clone, Debug)]
pub struct Callee(pub Arc<Graph>);

impl PartialEq for Callee {
    fn eq(&self, other: &Callee) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.fingerprint() == other.0.fingerprint()
    }
}

impl Eq for Callee {}

impl std::hash::Hash for Callee {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.fingerprint().hash(state);
    }
}

impl Op {
    /// The name in texts.
    pub fn name(&self) -> &str {
        match self {
            Op::Input => "input",
            Op::Full(..) => "full",
            Op::Constant(_) => "constant",
            Op::Unary(op) => op.name(),
            Op::Indexed(op, _) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Part(op) => op.name(),
            Op::Complex => COMPLEX.name,
            Op::Compare(op) => op.name(),
            Op::Test(op) => op.name(),
            Op::Ternary(op) => op.name(),
            Op::Special(op, _) => op.name(),
            Op::Convert(_) => "convert",
            Op::Array(op) => op.name(),
            Op::Linalg(op) => op.name(),
            Op::Call(callee) => callee.0.name(),
            Op::Region(region) => region.name(),
            Op::Native(_) => "native",
            Op::Get(_) => "get",
        }
    }

    /// The name in messages: a native operation goes by its own.
    pub fn label(&self) -> &str {
        match self {
            Op::Native(native) => native.name(),
            op => op.name(),
        }
    }

    /// The row, for pointwise operations that have one.
    pub fn row(&self) -> Option<&'static Row> {
        match self {
            Op::Unary(op) => Some(op.row()),
            Op::Indexed(op, _) => Some(op.row()),
            Op::Binary(op) => Some(op.row()),
            Op::Part(op) => Some(op.row()),
            Op::Complex => Some(&COMPLEX),
            Op::Compare(op) => Some(op.row()),
            Op::Test(op) => Some(op.row()),
            Op::Ternary(op) => Some(op.row()),
            Op::Special(op, _) => Some(op.row()),
            _ => None,
        }
    }

    /// The operations that a text has beside those of the rows and files, in words. `input` is first.
    pub const LANGUAGE: &'static [Documentation] = &LANGUAGE;

    /// What the operation does, and what its derivative is, in words.
    pub fn documentation(&self) -> Documentation {
        if let Some(row) = self.row() {
            return Documentation {
                name: row.name,
                about: row.doc,
                derivative: row.derivative,
                convention: row.convention,
            };
        }
        let (list, name) = match self {
            Op::Array(op) => (ArrayOp::ALL, op.name()),
            Op::Linalg(op) => (Linalg::ALL, op.name()),
            Op::Region(op) => (Region::ALL, op.name()),
            Op::Call(_) => (&[][..], "call"),
            op => (&[][..], op.name()),
        };
        let entry = list.iter().find(|entry| entry.0 == name);
        let of_list = entry.map(|(name, about, derivative, convention)| Documentation {
            name,
            about,
            derivative,
            convention,
        });
        let of_language = || LANGUAGE.iter().find(|d| d.name == name).copied();
        // Every list is made of the operations themselves, so one of the two has it.
        of_list.or_else(of_language).unwrap_or(LANGUAGE[0])
    }

    /// Whether each element of the result depends only on the operands' elements at its place.
    #[inline]
    pub fn is_pointwise(&self) -> bool {
        self.row().is_some() || matches!(self, Op::Convert(_))
    }

    /// The graphs that the operation runs.
    pub fn callees(&self) -> impl Iterator<Item = &Callee> {
        let call = match self {
            Op::Call(callee) => Some(callee),
            _ => None,
        };
        let region = match self {
            Op::Region(region) => region.callees(),
            _ => Vec::new(),
        };
        call.into_iter().chain(region.into_iter().map(|(_, c)| c))
    }

    /// Whether this is an input of the graph.
    #[inline]
    pub fn is_input(&self) -> bool {
        matches!(self, Op::Input)
    }

    /// Whether the value is known when the graph is made.
    #[inline]
    pub fn is_constant(&self) -> bool {
        matches!(self, Op::Full(..) | Op::Constant(_))
    }

    /// The number that the result is everywhere, if that is known.
    #[inline]
    pub fn splat(&self) -> Option<Scalar> {
        match self {
            Op::Full(value, _) => Some(*value),
            _ => None,
        }
    }

    /// How many operands the operation takes.
    pub fn arity(&self) -> Arity {
        match self {
            Op::Input | Op::Full(..) | Op::Constant(_) => Arity::Exactly(0),
            Op::Unary(_)
            | Op::Indexed(..)
            | Op::Part(_)
            | Op::Test(_)
            | Op::Convert(_)
            | Op::Get(_) => Arity::Exactly(1),
            Op::Binary(_) | Op::Compare(_) | Op::Complex => Arity::Exactly(2),
            Op::Ternary(_) => Arity::Exactly(3),
            Op::Special(op, _) => Arity::Exactly(op.operands()),
            Op::Array(op) => op.arity(),
            Op::Linalg(op) => op.arity(),
            Op::Call(callee) => Arity::Exactly(callee.0.inputs().len()),
            Op::Region(region) => region.arity(),
            Op::Native(_) => Arity::AtLeast(0),
        }
    }

    /// The type of the result, or why the operands do not fit. Inputs have no rule.
    pub fn infer(&self, args: &[&Type]) -> Result<Type, TypeError> {
        // By far the most, and nothing of what follows concerns them.
        if let (Op::Binary(op), [Type::Tensor(x), Type::Tensor(y)]) = (self, args) {
            let result = op.infer(x, y)?;
            result.check_size()?;
            return Ok(result.into());
        }
        let arity = self.arity();
        if !arity.allows(args.len()) {
            type_error!("expected {arity}, found {}", args.len());
        }
        if self
            .callees()
            .any(|c| c.0.call_depth() >= crate::graph::MAX_CALL_DEPTH)
        {
            type_error!("calls nest deeper than {}", crate::graph::MAX_CALL_DEPTH);
        }
        if let Op::Get(index) = self {
            return match args.first() {
                Some(Type::Tuple(parts)) => match parts.get(*index) {
                    Some(t) => Ok(t.clone().into()),
                    None => type_error!("expected an index below {}, found {index}", parts.len()),
                },
                _ => type_error!("expected a tuple"),
            };
        }
        let mut tensors: smallvec::SmallVec<[&TensorType; 3]> = smallvec::SmallVec::new();
        for a in args {
            match a {
                Type::Tensor(t) => tensors.push(t),
                Type::Tuple(_) => type_error!("expected an array, found a tuple {a}"),
            }
        }
        let result = match (self, &tensors[..]) {
            (Op::Full(value, shape), _) => TensorType::new(value.dtype(), shape.clone()),
            (Op::Constant(array), _) => TensorType::new(array.dtype(), array.shape().clone()),
            (Op::Unary(op), [x]) => op.infer(x)?,
            (Op::Indexed(op, n), [x]) => op.infer(*n, x)?,
            (Op::Binary(op), [x, y]) => op.infer(x, y)?,
            (Op::Part(op), [x]) => op.infer(x)?,
            (Op::Complex, [re, im]) => crate::ops::complex::infer(re, im)?,
            (Op::Compare(op), [x, y]) => op.infer(x, y)?,
            (Op::Test(op), [x]) => op.infer(x)?,
            (Op::Ternary(op), [x, y, z]) => op.infer(x, y, z)?,
            (Op::Special(op, orders), args) => op.infer(*orders, args)?,
            (Op::Convert(dtype), [x]) => {
                if x.dtype.is_complex() && !dtype.is_complex() && !dtype.is_bool() {
                    type_error!(
                        "expected a complex dtype to convert {} to, found {dtype}; take real(x), imag(x) or abs(x)",
                        x.dtype
                    );
                }
                x.with_dtype(*dtype)
            }
            (Op::Array(op), tensors) => op.infer(tensors)?,
            (Op::Linalg(op), tensors) => return op.infer(tensors),
            (Op::Region(region), tensors) => return region.infer(tensors),
            (Op::Native(native), tensors) => return native.infer(tensors),
            (Op::Call(callee), tensors) => {
                for (((name, _), want), found) in callee
                    .0
                    .inputs()
                    .iter()
                    .zip(callee.0.input_types())
                    .zip(tensors)
                {
                    if want != **found {
                        type_error!("input `{name}` is {want}, found {found}");
                    }
                }
                return Ok(callee.0.result_type());
            }
            (Op::Input, _) => type_error!("an input is made by the graph, not by an operation"),
            _ => type_error!("expected {arity}, found {}", args.len()),
        };
        result.check_size()?;
        Ok(result.into())
    }

    /// Whether results are finite numbers where the operands are.
    pub fn bound(&self) -> Bound {
        match self {
            Op::Indexed(op, n) => op.bound(*n),
            Op::Full(value, _) if value.is_finite() => Bound::Finite,
            Op::Full(..) | Op::Constant(_) => Bound::Open,
            Op::Call(_) | Op::Region(_) | Op::Native(_) => Bound::Open,
            Op::Input => Bound::Finite,
            // A logarithm of 0; other results are finite or an error.
            Op::Linalg(Linalg::Slogdet(_)) => Bound::Open,
            Op::Convert(_) | Op::Array(_) | Op::Linalg(_) | Op::Get(_) => Bound::Operands,
            _ => self.row().map_or(Bound::Open, |row| row.bound),
        }
    }

    /// Operations of one run, in units of one addition; a call costs what its graph costs.
    pub fn cost(&self, args: &[&Type], out: &Type) -> u64 {
        let elements = out
            .components()
            .first()
            .map_or(0, |t| t.shape.elements() as u64);
        match self {
            Op::Input | Op::Full(..) | Op::Constant(_) | Op::Get(_) => 0,
            Op::Convert(_) => elements,
            Op::Array(op) => {
                let tensors: Vec<&TensorType> = args.iter().filter_map(|t| t.tensor()).collect();
                out.tensor().map_or(0, |t| op.cost(&tensors, t))
            }
            Op::Linalg(op) => {
                let tensors: Vec<&TensorType> = args.iter().filter_map(|t| t.tensor()).collect();
                op.cost(&tensors)
            }
            Op::Call(callee) => callee.0.cost(),
            Op::Region(region) => region.cost(),
            _ => self
                .row()
                .map_or(0, |row| elements.saturating_mul(u64::from(row.cost))),
        }
    }
}

impl Graph {
    /// Operations of one run, in units of one addition.
    pub fn cost(&self) -> u64 {
        *self.cost.get_or_init(|| {
            self.equations().iter().fold(0, |sum, e| {
                let args: Vec<&Type> = e.args.iter().map(|a| self.ty(*a)).collect();
                sum.saturating_add(e.op.cost(&args, &e.ty))
            })
        })
    }
}

impl From<Unary> for Op {
    fn from(op: Unary) -> Op {
        Op::Unary(op)
    }
}

impl From<Binary> for Op {
    fn from(op: Binary) -> Op {
        Op::Binary(op)
    }
}

impl From<Part> for Op {
    fn from(op: Part) -> Op {
        Op::Part(op)
    }
}

impl From<Compare> for Op {
    fn from(op: Compare) -> Op {
        Op::Compare(op)
    }
}

impl From<Test> for Op {
    fn from(op: Test) -> Op {
        Op::Test(op)
    }
}

impl From<Ternary> for Op {
    fn from(op: Ternary) -> Op {
        Op::Ternary(op)
    }
}

impl From<ArrayOp> for Op {
    fn from(op: ArrayOp) -> Op {
        Op::Array(op)
    }
}
