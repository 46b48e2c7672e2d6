//! Random numbers, as a pure function of a key.

use cotangent_graph::ops::RandomBits;

use super::{Operand, Tensor, concat, fail, push};
use crate::tree::{Leaf, Structure, Tree, TreeError};
use crate::{Array, DType, Shape};

/// What draws are distinguished by, so that splitting a key never gives what drawing from it did.
const DRAW: u32 = 0;
const SPLIT: u32 = 1;
const FOLD: u32 = 2;

/// The key to random numbers: two u32 words. The same key gives the same numbers, on every machine
/// and with any number of threads, so a key is used once: [`split`](Key::split) gives new ones.
///
/// A key is a tree with one leaf: `Key<Array>` outside of a traced function, `Key<Tensor>` inside.
///
/// ```
/// use cotangent::{Array, DType, Function, Key, normal};
/// let f = Function::new(|key: &Key| {
///     let [a, b] = key.split();
///     (normal(&a, [2], DType::F64), normal(&b, [2], DType::F64))
/// });
/// let (x, y) = f.call((Key::new(7),))?;
/// assert_ne!(x, y);
/// assert_eq!(f.call((Key::new(7),))?.0, x);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Key<T = Tensor>(pub T);

impl<T: From<Array>> Key<T> {
    /// The key of a seed.
    pub fn new(seed: u64) -> Key<T> {
        Key(Array::from([(seed >> 32) as u32, seed as u32]).into())
    }
}

impl Key {
    /// New keys, as many as are asked for: `let [a, b] = key.split();`.
    #[track_caller]
    pub fn split<const N: usize>(&self) -> [Key; N] {
        let mut keys = self.split_many(N).into_iter();
        [(); N].map(|()| keys.next().unwrap_or_else(|| self.clone()))
    }

    /// `count` new keys.
    #[track_caller]
    pub fn split_many(&self, count: usize) -> Vec<Key> {
        self.split_rows(count)
            .unbind(0)
            .into_iter()
            .map(Key)
            .collect()
    }

    /// `count` new keys as the rows of a tensor u32[count, 2], to map over.
    #[track_caller]
    pub fn split_rows(&self, count: usize) -> Tensor {
        self.words(SPLIT, &Shape::from([count, 2]))
    }

    /// A new key for each number: for the steps of a loop.
    #[track_caller]
    pub fn fold_in(&self, number: impl Operand) -> Key {
        let number = match number.operand() {
            super::OperandValue::Tensor(t) => t,
            super::OperandValue::Scalar(s) => Tensor::full((), s),
        };
        if !number.dtype().is_int() || number.rank() != 0 {
            return Key(fail(
                "fold_in",
                &[&self.0, &number],
                "expected an integer scalar",
            ));
        }
        let inner = self.words(FOLD, &Shape::from([2]));
        push(
            RandomBits {
                shape: Shape::from([2]),
            },
            &[&inner, &number.convert(DType::U32)],
        )
        .into()
    }

    /// Random words for one purpose.
    #[track_caller]
    fn words(&self, purpose: u32, shape: &Shape) -> Tensor {
        push(
            RandomBits {
                shape: shape.clone(),
            },
            &[&self.0, &Tensor::full((), purpose)],
        )
    }
}

impl<T> From<T> for Key<T> {
    fn from(words: T) -> Key<T> {
        Key(words)
    }
}

impl<L, T: Tree<L>> Tree<L> for Key<T> {
    type Of<U: Leaf> = Key<T::Of<U>>;

    fn structure(&self) -> Structure {
        self.0.structure()
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        self.0.for_each_leaf(f);
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        Key(self.0.map_leaves(f))
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        T::build(structure, leaves).map(Key)
    }
}

/// Random u32 words.
#[track_caller]
pub fn random_bits(key: &Key, shape: impl Into<Shape>) -> Tensor {
    key.words(DRAW, &shape.into())
}

/// Numbers from 0 (included) to 1 (excluded), all multiples of 2^-53 (f64) or 2^-24 (f32) equally
/// likely.
///
/// ```
/// use cotangent::{DType, Key, uniform};
/// let x = uniform(&Key::new(1), [1000], DType::F64);
/// assert!((x.mean(..).item::<f64>()? - 0.5).abs() < 0.05);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn uniform(key: &Key, shape: impl Into<Shape>, dtype: DType) -> Tensor {
    let shape = shape.into();
    match dtype {
        DType::F64 => {
            let pairs = shape.iter().copied().chain([2]).collect();
            let words = key.words(DRAW, &pairs);
            let first = words.cut(shape.rank(), 0..1).reshape_to(&shape);
            let second = words.cut(shape.rank(), 1..2).reshape_to(&shape);
            let high = (first >> 5).convert(DType::F64);
            let low = (second >> 6).convert(DType::F64);
            (high * 67_108_864.0 + low) * (1.0 / 9_007_199_254_740_992.0)
        }
        DType::F32 => (key.words(DRAW, &shape) >> 8).convert(DType::F32) * (1.0 / 16_777_216.0),
        other => fail(
            "uniform",
            &[&key.0],
            format!("expected f64 or f32, found {other}"),
        ),
    }
}

/// Numbers from the standard normal distribution, by the transformation of Box and Muller (1958).
///
/// ```
/// use cotangent::{DType, Key, normal};
/// let x = normal(&Key::new(1), [1000], DType::F64);
/// assert!(x.mean(..).item::<f64>()?.abs() < 0.1);
/// assert!((x.std(..).item::<f64>()? - 1.0).abs() < 0.1);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn normal(key: &Key, shape: impl Into<Shape>, dtype: DType) -> Tensor {
    let shape = shape.into();
    let Some(count) = shape.checked_elements() else {
        return fail(
            "normal",
            &[&key.0],
            format!("a tensor {shape} is larger than memory can be"),
        );
    };
    if !dtype.is_float() {
        return fail(
            "normal",
            &[&key.0],
            format!("expected f64 or f32, found {dtype}"),
        );
    }
    let pairs = count.div_ceil(2);
    let u = uniform(key, [2, pairs], dtype);
    // 1 - u is never 0, so neither is the logarithm ever infinite.
    let radius = ((-u.at(0)).log1p() * -2.0).sqrt();
    let angle = u.at(1) * std::f64::consts::TAU;
    let both = concat([&radius * angle.cos(), &radius * angle.sin()], 0);
    both.cut(0, 0..count).reshape_to(&shape)
}

/// True with probability `p`, which broadcasts to the shape.
#[track_caller]
pub fn bernoulli(key: &Key, p: impl Operand, shape: impl Into<Shape>) -> Tensor {
    let p = match p.operand() {
        super::OperandValue::Tensor(t) => t,
        super::OperandValue::Scalar(s) => Tensor::full((), s.convert(DType::F64)),
    };
    let dtype = p.dtype();
    uniform(key, shape, dtype).less(p)
}
