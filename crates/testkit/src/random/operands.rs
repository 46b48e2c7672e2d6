//! What an operation of a random graph is applied to: variables that are there, or new ones that fit.

use cotangent_array::{Array, DType, Shape};
use cotangent_graph::ops::{Broadcast, Compare, Reshape, Slice};
use cotangent_graph::{Op, TensorType, Var};

use super::{Generator, MOST_ELEMENTS};

impl Generator {
    /// One of the dtypes that this graph uses for floats.
    pub fn float(&mut self) -> DType {
        self.rng.pick(self.floats).unwrap_or(DType::F64)
    }

    /// A dtype out of those that `allowed` takes: a float most of the time.
    pub fn dtype(&mut self, allowed: impl Fn(DType) -> bool) -> Option<DType> {
        if self.rng.chance(0.7) {
            let float = self.float();
            if allowed(float) {
                return Some(float);
            }
        }
        let others: Vec<DType> = DType::ALL.iter().copied().filter(|d| allowed(*d)).collect();
        let others: Vec<DType> = match self.floats {
            // Graphs of some float dtypes stay so, but for conversions.
            own if others.len() > 1 => others
                .into_iter()
                .filter(|d| !d.is_inexact() || own.contains(d))
                .collect(),
            _ => others,
        };
        self.rng.pick(&others)
    }

    /// A shape of rank 0 to 4 with axes of length 0 to 4.
    pub fn shape(&mut self) -> Shape {
        loop {
            let rank = self
                .rng
                .pick(&[0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
                .unwrap_or(1);
            let shape: Shape = (0..rank).map(|_| self.length()).collect();
            if shape.elements() <= self.most() {
                return shape;
            }
        }
    }

    /// The most elements that an array may have.
    pub fn most(&self) -> usize {
        MOST_ELEMENTS[usize::from(self.large)]
    }

    /// The length of an axis.
    pub fn length(&mut self) -> usize {
        if self.large {
            return self.rng.pick(&[1, 2, 3, 5, 8, 13, 17, 33, 70]).unwrap_or(2);
        }
        if self.rng.chance(0.03) {
            0
        } else {
            self.rng.pick(&[1, 1, 2, 2, 2, 3, 3, 3, 4]).unwrap_or(2)
        }
    }

    /// A variable of a type that fits; recent ones more often.
    pub fn some(&mut self, fits: impl Fn(&TensorType) -> bool) -> Option<Var> {
        let fitting: Vec<Var> = self
            .pool
            .iter()
            .copied()
            .filter(|v| self.b.ty(*v).tensor().is_some_and(&fits))
            .collect();
        let last = fitting.len();
        let at = self.rng.below(last).max(self.rng.below(last));
        fitting.get(at).copied()
    }

    /// A variable of this dtype and any shape that fits, made if there is none.
    pub fn any(&mut self, dtype: DType, fits: impl Fn(&Shape) -> bool) -> Option<Var> {
        if self.rng.chance(0.85)
            && let Some(v) = self.some(|t| t.dtype == dtype && fits(&t.shape))
        {
            return Some(v);
        }
        for _ in 0..8 {
            let shape = match self.rng.chance(0.5) {
                true => self.some(|t| fits(&t.shape)).map(|v| self.ty(v).shape),
                false => None,
            };
            let shape = shape.unwrap_or_else(|| self.shape());
            if fits(&shape) {
                return Some(self.operand(dtype, &shape));
            }
        }
        None
    }

    /// A variable of this type: one that is there, one made from others, an input or a constant.
    pub fn operand(&mut self, dtype: DType, shape: &Shape) -> Var {
        let ty = TensorType::new(dtype, shape.clone());
        if self.rng.chance(0.7)
            && let Some(v) = self.some(|t| *t == ty)
        {
            return v;
        }
        if self.rng.chance(0.6)
            && let Some(v) = self.some(|t| t.dtype == dtype && t.shape.elements() > 0)
            && let Some(v) = self.adapt(v, shape)
        {
            return v;
        }
        if dtype.is_bool() && self.rng.chance(0.6) {
            let of = self.float();
            let x = self.operand_of_values(of, shape);
            let y = self.constant(&TensorType::new(of, shape.clone()));
            let op = self.rng.pick(Compare::ALL).unwrap_or(Compare::Lt);
            if let Some(v) = self.push(op, &[x, y]) {
                return v;
            }
        }
        if dtype.is_inexact() && self.rng.chance(0.3) {
            let other = self.some(|t| t.dtype != dtype && t.shape == *shape);
            if let Some(v) = other.and_then(|v| self.push(Op::Convert(dtype), &[v])) {
                return self.fit(v, -3.0, 3.0).unwrap_or(v);
            }
        }
        self.operand_of_values(dtype, shape)
    }

    fn operand_of_values(&mut self, dtype: DType, shape: &Shape) -> Var {
        let ty = TensorType::new(dtype, shape.clone());
        if self.inputs.len() < self.most_inputs && self.rng.chance(0.7) {
            return self.new_input(ty);
        }
        self.constant(&ty)
    }

    /// The elements of `x` in another shape, repeated or cut off as need be.
    pub fn adapt(&mut self, x: Var, shape: &Shape) -> Option<Var> {
        let have = self.ty(x).shape.elements();
        let want = shape.elements();
        if have == 0 {
            return None;
        }
        let times = want.div_ceil(have).max(1);
        let mut v = self.reshape(x, [have])?;
        if times > 1 {
            v = self.push(
                Broadcast {
                    shape: [times, have].into(),
                    dims: vec![1],
                },
                &[v],
            )?;
            v = self.reshape(v, [times * have])?;
        }
        if times * have != want {
            let cut = Slice {
                start: vec![0],
                limit: vec![want],
                stride: vec![1],
            };
            v = self.push(cut, &[v])?;
        }
        self.reshape(v, shape.clone())
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, x: Var, shape: impl Into<Shape>) -> Option<Var> {
        let shape = shape.into();
        if self.ty(x).shape == shape {
            Some(x)
        } else {
            self.push(Reshape { shape }, &[x])
        }
    }

    /// A new input with values drawn.
    pub fn new_input(&mut self, ty: TensorType) -> Var {
        let values = self.draw_values(&ty);
        self.given_input(ty, values)
    }

    pub(super) fn given_input(&mut self, ty: TensorType, values: Array) -> Var {
        // Names that transformations and the printer make themselves must not be in their way.
        const NAMES: &[&str] = &[
            "x", "y", "w", "a", "b", "v0", "v1", "t_x", "ct_out0", "ct_out1", "r0", "r1", "t_t_x",
        ];
        let name = loop {
            let name = self.rng.pick(NAMES).unwrap_or("x").to_owned();
            if self.names.insert(name.clone()) {
                break name;
            }
            let name = format!("{name}_{}", self.inputs.len());
            if self.names.insert(name.clone()) {
                break name;
            }
        };
        let v = self.b.input(&name, ty);
        self.inputs.push(values.clone());
        self.values.insert(v, values);
        self.pool.push(v);
        v
    }
}
