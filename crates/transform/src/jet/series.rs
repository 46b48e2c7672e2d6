//! Power series of variables, one coefficient after the other.

use std::collections::HashMap;

use cotangent_graph::ops::{ArrayOp, Binary, Linalg, Ternary, Unary};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var};

use super::Curve;
use crate::TransformError;
use crate::forward::{is_inexact, product, sum, tangent};

/// A variable of the series: its position.
pub(super) type Id = usize;

/// Variables with their coefficients. Equal operations on equal operands are one variable, so that
/// sine and cosine, each the other's derivative, are computed in step.
pub(super) struct Series {
    order: usize,
    nodes: Vec<Node>,
    known: HashMap<(Kind, Vec<Id>), Id>,
    /// The values of operations on matrices, which give all their results at once.
    made: HashMap<(Linalg, Vec<Id>), Vec<Var>>,
}

struct Node {
    kind: Kind,
    args: Vec<Id>,
    ty: TensorType,
    /// Whether any coefficient but the first may differ from zero.
    varies: bool,
    /// The coefficients that have been found; `None` inside is zero.
    found: Vec<Option<Option<Var>>>,
    /// The variable's derivative by t, as its operation's rule says, once it has been asked for;
    /// `None` inside is zero.
    slope: Option<Option<Id>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Coefficients from outside.
    Given(usize),
    Op(Op),
    /// One of the results of an operation on matrices.
    Result(Linalg, usize),
    /// A product in which zero is strong, as between tangents and partials.
    Product,
    /// The derivative of the operand by t.
    Slope,
}

/// How the coefficients of an operation's result follow from those of its operands.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// The same operation on the coefficients of all operands.
    Linear,
    /// The same operation on the first operand's coefficients; the others have one value.
    LinearInFirst,
    Select,
    /// Sums over pairs of coefficients.
    Bilinear,
    Quotient,
    Recurrence,
    /// By the differential equation that its derivative rule is.
    Slope,
}

impl Series {
    pub(super) fn new(order: usize) -> Series {
        Series {
            order,
            nodes: Vec::new(),
            known: HashMap::new(),
            made: HashMap::new(),
        }
    }

    /// A variable whose coefficients are known.
    pub(super) fn given(&mut self, b: &Builder, curve: Curve) -> Id {
        let ty = curve.first().copied().flatten().map(|v| b.tensor(v));
        let mut found: Vec<Option<Option<Var>>> = curve.into_iter().map(Some).collect();
        found.resize(self.order + 1, Some(None));
        self.nodes.push(Node {
            kind: Kind::Given(self.nodes.len()),
            args: Vec::new(),
            ty: ty.unwrap_or_else(|| TensorType::scalar(cotangent_array::DType::F64)),
            varies: found.iter().skip(1).any(|c| c.is_some_and(|c| c.is_some())),
            found,
            slope: None,
        });
        self.nodes.len() - 1
    }

    /// The result of an operation.
    pub(super) fn push(&mut self, op: Op, args: Vec<Id>) -> Id {
        let types: Vec<_> = args
            .iter()
            .map(|a| self.nodes[*a].ty.clone().into())
            .collect();
        let ty = op.infer(&types.iter().collect::<Vec<_>>());
        let ty = ty.ok().and_then(|t| t.tensor().cloned());
        // An operation that does not fit is reported when it is emitted.
        let ty = ty.unwrap_or_else(|| TensorType::scalar(cotangent_array::DType::F64));
        self.node(Kind::Op(op), args, ty)
    }

    /// The results of an operation on matrices.
    pub(super) fn results(&mut self, op: &Linalg, args: &[Id]) -> Vec<Id> {
        let types: Vec<&TensorType> = args.iter().map(|a| &self.nodes[*a].ty).collect();
        // An operation that does not fit is reported when it is emitted.
        let types = op.results(&types).unwrap_or_default();
        let results = types.into_iter().enumerate();
        results
            .map(|(i, ty)| self.node(Kind::Result(op.clone(), i), args.to_vec(), ty))
            .collect()
    }

    fn node(&mut self, kind: Kind, args: Vec<Id>, ty: TensorType) -> Id {
        let key = (kind, args);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let (kind, args) = key.clone();
        let stops = matches!(kind, Kind::Op(Op::Unary(Unary::StopGradient)));
        let varies = is_inexact(&ty) && !stops && args.iter().any(|a| self.nodes[*a].varies);
        self.nodes.push(Node {
            kind,
            args,
            ty,
            varies,
            found: vec![None; self.order + 1],
            slope: None,
        });
        self.known.insert(key, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The coefficients of a variable that has been completed.
    pub(super) fn curve(&self, id: Id) -> Curve {
        self.nodes[id].found.iter().map(|c| c.flatten()).collect()
    }

    /// Finds all coefficients of a variable. What one needs is found first, on a list instead of the
    /// stack.
    pub(super) fn complete(&mut self, b: &mut Builder, id: Id) -> Result<(), TransformError> {
        for k in 0..=self.order {
            let mut list = vec![(id, k)];
            while let Some((id, k)) = list.last().copied() {
                if self.nodes[id].found[k].is_some() {
                    list.pop();
                    continue;
                }
                let needs = self.needs(b, id, k)?;
                let before = list.len();
                let open = needs
                    .into_iter()
                    .filter(|(n, j)| self.nodes[*n].found[*j].is_none());
                list.extend(open);
                if list.len() == before {
                    let found = self.coefficient(b, id, k);
                    self.nodes[id].found[k] = Some(found);
                    list.pop();
                }
            }
        }
        Ok(())
    }

    /// The coefficients that coefficient `k` of a variable follows from.
    fn needs(
        &mut self,
        b: &mut Builder,
        id: Id,
        k: usize,
    ) -> Result<Vec<(Id, usize)>, TransformError> {
        let node = &self.nodes[id];
        let all = |args: &[Id], j: usize| args.iter().map(|a| (*a, j)).collect::<Vec<_>>();
        if node.kind == Kind::Slope {
            return Ok(all(&node.args, k + 1));
        }
        if k == 0 {
            return Ok(all(&node.args, 0));
        }
        if !node.varies {
            return Ok(Vec::new());
        }
        let up_to = |args: &[Id], k: usize| -> Vec<(Id, usize)> {
            args.iter().flat_map(|a| (0..=k).map(|j| (*a, j))).collect()
        };
        Ok(match rule(&node.kind) {
            Rule::Linear | Rule::LinearInFirst | Rule::Select => {
                let mut needs = all(&node.args, k);
                needs.extend(all(&node.args, 0));
                needs
            }
            Rule::Bilinear => up_to(&node.args, k),
            Rule::Quotient | Rule::Recurrence => {
                let mut needs = up_to(&node.args, k);
                needs.extend((0..k).map(|j| (id, j)));
                needs
            }
            Rule::Slope => {
                let mut needs = vec![(id, 0)];
                if self.nodes[id].found[0].is_some() {
                    needs.extend(self.slope(b, id)?.map(|s| (s, k - 1)));
                }
                needs
            }
        })
    }

    /// Coefficient `k` of a variable; what it needs has been found.
    fn coefficient(&mut self, b: &mut Builder, id: Id, k: usize) -> Option<Var> {
        let node = &self.nodes[id];
        let get = |arg: usize, j: usize| -> Option<Var> {
            let a = node.args.get(arg)?;
            self.nodes[*a].found.get(j).copied().flatten().flatten()
        };
        let own = |j: usize| node.found.get(j).copied().flatten().flatten();
        let or_zero = |b: &mut Builder, arg: usize, j: usize| {
            get(arg, j).unwrap_or_else(|| match node.args.get(arg) {
                Some(a) => b.zeros(&self.nodes[*a].ty),
                None => b.scalar(cotangent_array::DType::F64, 0.0),
            })
        };
        match &node.kind {
            Kind::Given(_) => return None,
            Kind::Slope => {
                let c = get(0, k + 1)?;
                let times = b.like(c, (k + 1) as f64);
                return Some(if k == 0 { c } else { b.mul(times, c) });
            }
            Kind::Product if k == 0 => {
                return Some(product(b, Binary::Mul, get(0, 0)?, get(1, 0)?));
            }
            Kind::Result(op, i) if k == 0 => {
                let key = (op.clone(), node.args.clone());
                if let Some(made) = self.made.get(&key) {
                    return made.get(*i).copied();
                }
                let operands: Vec<Var> = (0..node.args.len()).map(|i| or_zero(b, i, 0)).collect();
                let made = b.linalg(op.clone(), &operands);
                let result = made.get(*i).copied();
                self.made.insert(key, made);
                return result;
            }
            Kind::Op(op) if k == 0 => {
                let tangent_like = matches!(rule(&node.kind), Rule::Linear | Rule::Bilinear);
                if tangent_like
                    && !node.args.is_empty()
                    && (0..node.args.len()).all(|i| get(i, 0).is_none())
                {
                    return None;
                }
                let operands: Vec<Var> = (0..node.args.len()).map(|i| or_zero(b, i, 0)).collect();
                return Some(b.push(op.clone(), &operands));
            }
            _ => {}
        }
        if !node.varies {
            return None;
        }
        let count = node.args.len();
        match (rule(&node.kind), &node.kind) {
            (Rule::Linear, Kind::Op(op)) => {
                if (0..count).all(|i| get(i, k).is_none()) {
                    return None;
                }
                match (op, get(0, k), get(1, k)) {
                    (Op::Binary(Binary::Add), Some(x), None) => Some(x),
                    (Op::Binary(Binary::Add | Binary::Sub), None, Some(y)) => {
                        Some(if *op == Op::Binary(Binary::Add) {
                            y
                        } else {
                            b.neg(y)
                        })
                    }
                    (Op::Binary(Binary::Sub), Some(x), None) => Some(x),
                    _ => {
                        let operands: Vec<Var> = (0..count).map(|i| or_zero(b, i, k)).collect();
                        Some(b.push(op.clone(), &operands))
                    }
                }
            }
            (Rule::LinearInFirst, Kind::Op(op)) => {
                let mut operands = vec![get(0, k)?];
                operands.extend((1..count).map(|i| or_zero(b, i, 0)));
                Some(b.push(op.clone(), &operands))
            }
            (Rule::Select, _) => {
                if get(1, k).is_none() && get(2, k).is_none() {
                    return None;
                }
                let condition = or_zero(b, 0, 0);
                let (x, y) = (or_zero(b, 1, k), or_zero(b, 2, k));
                Some(b.select(condition, x, y))
            }
            (Rule::Bilinear, kind) => {
                let mut total = None;
                for j in 0..=k {
                    let (Some(x), Some(y)) = (get(0, j), get(1, k - j)) else {
                        continue;
                    };
                    let term = match kind {
                        Kind::Op(op @ Op::Array(_)) => b.push(op.clone(), &[x, y]),
                        _ => product(b, Binary::Mul, x, y),
                    };
                    total = sum(b, total, Some(term));
                }
                total
            }
            (Rule::Quotient, _) => {
                // x = y z, so that y_k z_0 is x_k less the other terms.
                let mut top = get(0, k);
                for j in 1..=k {
                    let (Some(z), Some(y)) = (get(1, j), own(k - j)) else {
                        continue;
                    };
                    let term = product(b, Binary::Mul, z, y);
                    top = Some(match top {
                        Some(top) => b.sub(top, term),
                        None => b.neg(term),
                    });
                }
                let (top, below) = (top?, or_zero(b, 1, 0));
                // As the rule of `div`: the numerator times 1 / z, so that a zero stays one at z = 0.
                match b.graph().splat(below).map(|s| s.to_f64()) {
                    Some(z) if z != 0.0 => Some(b.div(top, below)),
                    _ => {
                        let one = b.like(below, 1.0);
                        let inverse = b.div(one, below);
                        Some(product(b, Binary::Mul, top, inverse))
                    }
                }
            }
            (Rule::Recurrence, Kind::Op(op @ Op::Array(ArrayOp::Recurrence(r)))) => {
                let mut enters = get(1, k);
                for j in 1..=k {
                    let (Some(a), Some(h)) = (get(0, j), own(k - j)) else {
                        continue;
                    };
                    let before = shift(b, h, r.axis, r.reverse);
                    let term = product(b, Binary::Mul, a, before);
                    enters = sum(b, enters, Some(term));
                }
                let factors = or_zero(b, 0, 0);
                Some(b.push(op.clone(), &[factors, enters?]))
            }
            (_, _) => {
                let slope = node.slope.flatten()?;
                let c = self.nodes[slope]
                    .found
                    .get(k - 1)
                    .copied()
                    .flatten()
                    .flatten()?;
                if k == 1 {
                    return Some(c);
                }
                let k = b.like(c, k as f64);
                Some(b.div(c, k))
            }
        }
    }

    /// The derivative of a variable by t: the tangent that the operation's rule gives, where the
    /// tangents of the operands are their derivatives.
    fn slope(&mut self, b: &mut Builder, id: Id) -> Result<Option<Id>, TransformError> {
        if let Some(slope) = self.nodes[id].slope {
            return Ok(slope);
        }
        let kind = self.nodes[id].kind.clone();
        let args = self.nodes[id].args.clone();
        let (outs, which) = match &kind {
            Kind::Op(_) => (vec![id], 0),
            Kind::Result(op, i) => (self.results(op, &args), *i),
            _ => return Ok(None),
        };
        let mut s = Builder::new("slope");
        let mut ids: Vec<Id> = Vec::new();
        let mut input = |s: &mut Builder, of: Id, ty: &TensorType, finite: bool| {
            let v = s.input("x", ty.clone());
            if !finite {
                s.set_open(v);
            }
            ids.push(of);
            v
        };
        let made = match &kind {
            Kind::Result(op, _) => self.made.get(&(op.clone(), args.clone())),
            _ => None,
        };
        let finite = |node: &Node| {
            let value = node.found.first().copied().flatten().flatten();
            let value = value.or_else(|| match node.kind {
                Kind::Result(_, i) => made?.get(i).copied(),
                _ => None,
            });
            value.is_none_or(|v| b.is_finite(v))
        };
        let mut operands = Vec::new();
        for a in &args {
            let node = &self.nodes[*a];
            operands.push(input(&mut s, *a, &node.ty, finite(node)));
        }
        let outs: Vec<Var> = outs
            .into_iter()
            .map(|id| {
                let node = &self.nodes[id];
                input(&mut s, id, &node.ty, finite(node))
            })
            .collect();
        let mut tangents = Vec::new();
        let slopes: Vec<Option<(Id, TensorType)>> = args
            .iter()
            .map(|a| {
                let (varies, ty) = (self.nodes[*a].varies, self.nodes[*a].ty.clone());
                varies.then(|| (self.node(Kind::Slope, vec![*a], ty.clone()), ty))
            })
            .collect();
        for slope in slopes {
            // Tangents may be anything; products look at what they are once they are emitted.
            tangents.push(slope.map(|(of, ty)| {
                let v = s.input("t", ty);
                s.set_open(v);
                ids.push(of);
                v
            }));
        }
        let found = match (&kind, &outs[..]) {
            (Kind::Result(op, _), outs) => op
                .jvp(&mut s, &operands, outs, &tangents)
                .get(which)
                .copied()
                .flatten(),
            (Kind::Op(op), [out]) => tangent(&mut s, op, &operands, *out, &tangents),
            _ => None,
        };
        let outputs: Vec<Var> = found.into_iter().collect();
        let graph = s.finish(&outputs)?;
        let slope = self.follow(&graph, &ids)?;
        self.nodes[id].slope = Some(slope);
        Ok(slope)
    }

    /// The variables of a graph of operations alone, from those of its inputs; gives its output.
    fn follow(&mut self, graph: &Graph, inputs: &[Id]) -> Result<Option<Id>, TransformError> {
        let mut to: Vec<Id> = vec![0; graph.equations().len()];
        let mut parts: HashMap<Var, Vec<Id>> = HashMap::new();
        for ((_, v), of) in graph.inputs().iter().zip(inputs) {
            to[v.index()] = *of;
        }
        let live = graph.live();
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            let args: Vec<Id> = e.args.iter().map(|a| to[a.index()]).collect();
            let made = match (&e.op, e.ty.tensor()) {
                (Op::Linalg(op), _) => {
                    let made = self.results(op, &args);
                    let first = made.first().copied();
                    parts.insert(v, made);
                    first
                }
                (Op::Get(i), _) => {
                    let tuple = e.args.first().and_then(|t| parts.get(t));
                    tuple.and_then(|t| t.get(*i)).copied()
                }
                (Op::Binary(Binary::Zmul), Some(ty)) => {
                    Some(self.node(Kind::Product, args, ty.clone()))
                }
                (op, Some(ty)) if op.callees().next().is_none() => {
                    Some(self.node(Kind::Op(op.clone()), args, ty.clone()))
                }
                _ => None,
            };
            to[v.index()] = made.ok_or_else(|| TransformError::NoJet {
                op: e.op.name().to_owned(),
                location: None,
            })?;
        }
        Ok(graph.outputs().first().map(|o| to[o.index()]))
    }
}

/// The rule of each family. An operation that is not named here follows from its derivative.
fn rule(kind: &Kind) -> Rule {
    use ArrayOp::*;
    let op = match kind {
        Kind::Op(op) => op,
        Kind::Product => return Rule::Bilinear,
        Kind::Result(..) => return Rule::Slope,
        Kind::Given(_) | Kind::Slope => return Rule::Linear,
    };
    match op {
        Op::Unary(Unary::Neg) | Op::Binary(Binary::Add | Binary::Sub) | Op::Convert(_) => {
            Rule::Linear
        }
        Op::Binary(Binary::Mul | Binary::Zmul) => Rule::Bilinear,
        Op::Binary(Binary::Div) => Rule::Quotient,
        Op::Ternary(Ternary::Select) => Rule::Select,
        Op::Array(op) => match op {
            Reshape(_) | Transpose(_) | Broadcast(_) | Reverse(_) | Slice(_) | Pad(_)
            | Concat(_) | Sum(_) | CumSum(_) | WindowSum(_) => Rule::Linear,
            Gather(_) | ScatterAdd(_) => Rule::LinearInFirst,
            Dot(_) | Conv(_) => Rule::Bilinear,
            Recurrence(_) => Rule::Recurrence,
            _ => Rule::Slope,
        },
        _ => Rule::Slope,
    }
}

/// `x` moved by one place along an axis, with 0 at the place left free: to later places, or to
/// earlier ones where the axis is run through from its end.
fn shift(b: &mut Builder, x: Var, axis: usize, reverse: bool) -> Var {
    let ty = b.tensor(x);
    let length = ty.dim(axis);
    if length == 0 {
        return x;
    }
    let (start, limit) = if reverse {
        (1, length)
    } else {
        (0, length - 1)
    };
    let kept = b.slice_axis(x, axis, start, limit);
    let one: Vec<usize> = (0..ty.rank()).map(|a| usize::from(a == axis)).collect();
    let none = vec![0; ty.rank()];
    let (low, high) = if reverse {
        (none.clone(), one)
    } else {
        (one, none.clone())
    };
    let zero = b.scalar(ty.dtype, 0.0);
    let pad = cotangent_graph::ops::Pad {
        low,
        high,
        interior: none,
    };
    b.push(pad, &[kept, zero])
}
