//! A sum of products over labelled axes.

use cotangent_graph::ops::{ArrayOp, Binary};
use cotangent_graph::{Graph, Op, Var};

/// The most factors that are ordered together.
pub(super) const MOST: usize = 8;

/// An axis, the same in every factor that has it.
pub(super) type Label = usize;

/// The product of a number and all leaves, summed over every label that is not among the axes of the result.
pub(super) struct Network {
    pub(super) leaves: Vec<Leaf>,
    /// The length of each label.
    pub(super) sizes: Vec<usize>,
    /// The axes of the result.
    pub(super) axes: Vec<Label>,
    /// A number that the product is multiplied by.
    pub(super) factor: f64,
    /// What it costs as it is written, in the units of [`cost`].
    pub(super) cost: f64,
    /// The variables between the result and the leaves.
    pub(super) interior: Vec<Var>,
}

/// A factor.
pub(super) struct Leaf {
    pub(super) var: Var,
    /// One for each of its axes.
    pub(super) axes: Vec<Label>,
}

/// A variable that is to be taken apart.
struct Item {
    var: Var,
    axes: Vec<Label>,
    /// Whether all that is done with it is to sum it.
    summed: bool,
}

/// What one operation costs over so many places. Sums of products of matrices run eight times as fast as what
/// reads and writes memory all along, but for the `results` that they write.
pub(super) fn cost(places: f64, results: f64, is_matrix_product: bool) -> f64 {
    if is_matrix_product {
        places / 8.0 + results / 2.0
    } else {
        places
    }
}

impl Network {
    /// The sum of products that ends here; `None` where there is a single factor, or no axis.
    pub(super) fn of(graph: &Graph, root: Var, uses: &[u32]) -> Option<Network> {
        let ty = graph.ty(root).tensor()?;
        if !ty.dtype.is_inexact() {
            return None;
        }
        let mut network = Network {
            leaves: Vec::new(),
            sizes: ty.shape.dims().to_vec(),
            axes: (0..ty.rank()).collect(),
            factor: 1.0,
            cost: 0.0,
            interior: Vec::new(),
        };
        let mut work = vec![Item {
            var: root,
            axes: network.axes.clone(),
            summed: false,
        }];
        while let Some(item) = work.pop() {
            let v = item.var;
            let number = graph.splat(v).and_then(|number| number.as_real());
            if let Some(number) = number.filter(|n| n.is_finite() && *n != 0.0) {
                network.factor *= number;
                continue;
            }
            let inner = v == root || uses[v.index()] == 1;
            // What waits becomes a leaf each, at least.
            let room = network.leaves.len() + work.len() + 2 <= MOST;
            match inner && room && network.expand(graph, &item, &mut work) {
                true if v != root => network.interior.push(v),
                true => {}
                false => network.leaves.push(Leaf {
                    var: v,
                    axes: item.axes,
                }),
            }
        }
        (network.leaves.len() > 1 && network.sizes.iter().all(|n| *n > 0)).then_some(network)
    }

    fn label(&mut self, size: usize) -> Label {
        self.sizes.push(size);
        self.sizes.len() - 1
    }

    fn places(&self, labels: impl Iterator<Item = Label>) -> f64 {
        labels.map(|l| self.sizes[l] as f64).product()
    }

    /// Puts the operands of a variable on the list, with their labels.
    fn expand(&mut self, graph: &Graph, item: &Item, work: &mut Vec<Item>) -> bool {
        let e = graph.equation(item.var);
        let axes = &item.axes;
        let mut push = |var: &Var, axes: Vec<Label>, summed: bool| {
            work.push(Item {
                var: *var,
                axes,
                summed,
            });
        };
        let dims = |a: &Var| graph.ty(*a).tensor().map(|t| t.shape.dims().to_vec());
        match (&e.op, &e.args[..]) {
            (Op::Binary(Binary::Mul), [x, y]) => {
                // A product that is summed at once is one step with the sum.
                if !item.summed {
                    self.cost += self.places(axes.iter().copied());
                }
                push(x, axes.clone(), item.summed);
                push(y, axes.clone(), item.summed);
            }
            (Op::Array(ArrayOp::Sum(s)), [x]) => {
                let Some(dims) = dims(x) else { return false };
                let mut kept = axes.iter().copied();
                let mut all = Vec::with_capacity(dims.len());
                for (i, n) in dims.iter().enumerate() {
                    all.push(match s.axes.contains(&i) {
                        true => self.label(*n),
                        false => match kept.next() {
                            Some(label) => label,
                            None => return false,
                        },
                    });
                }
                self.cost += self.places(all.iter().copied());
                push(x, all, true);
            }
            (Op::Array(ArrayOp::Transpose(t)), [x]) => {
                let mut own = vec![0; axes.len()];
                for (label, to) in axes.iter().zip(&t.axes) {
                    own[*to] = *label;
                }
                push(x, own, item.summed);
            }
            (Op::Array(ArrayOp::Broadcast(b)), [x]) => {
                push(x, b.dims.iter().map(|d| axes[*d]).collect(), item.summed);
            }
            (Op::Array(ArrayOp::Dot(d)), [x, y]) => {
                let (Some(left), Some(right)) = (dims(x), dims(y)) else {
                    return false;
                };
                let mut own = [vec![None; left.len()], vec![None; right.len()]];
                for (i, j) in d.contract.0.iter().zip(&d.contract.1) {
                    let label = self.label(left[*i]);
                    (own[0][*i], own[1][*j]) = (Some(label), Some(label));
                }
                let mut rest = axes.iter().copied();
                for (i, j) in d.batch.0.iter().zip(&d.batch.1) {
                    let label = rest.next();
                    (own[0][*i], own[1][*j]) = (label, label);
                }
                let mut free = [0; 2];
                for (own, free) in own.iter_mut().zip(&mut free) {
                    for label in own.iter_mut().filter(|l| l.is_none()) {
                        *label = rest.next();
                        *free += 1;
                    }
                }
                let [left, right] = own.map(|o| o.into_iter().collect::<Option<Vec<Label>>>());
                let (Some(left), Some(right)) = (left, right) else {
                    return false;
                };
                let all = left
                    .iter()
                    .chain(right.iter().filter(|l| !left.contains(l)));
                let places = self.places(all.copied());
                let results = self.places(axes.iter().copied());
                self.cost += cost(places, results, !free.contains(&0));
                push(x, left, false);
                push(y, right, false);
            }
            _ => return false,
        }
        true
    }
}
