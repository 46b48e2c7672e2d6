//! The tensor: what user code computes with while a function is traced.

mod activation;
mod attention;
mod axes;
mod complex;
mod create;
mod fft;
mod gather;
mod index;
mod layer;
mod linalg;
mod linear;
mod loss;
mod matrices;
mod operand;
mod operators;
mod pointwise;
mod random;
mod reduce;
mod shape;
mod sort;
mod special;

pub use axes::{Axes, AxisIndex, AxisSet, Integers, Keep, keep};
pub use create::meshgrid;
pub use fft::{FftNorm, fftfreq, istft, rfftfreq};
pub use gather::{Indices, scatter_add};
pub use index::{Index, IndexPart, NewAxis, Part, Rest, Step, range, step};
pub use layer::{ConvOptions, Padding, PoolOptions};
pub use linalg::{MatrixNorm, Triangular};
pub use linear::einsum;
pub use matrices::block_diag;
pub use operand::{Operand, OperandValue};
pub use pointwise::select;
pub use random::{Key, bernoulli, normal, random_bits, uniform};
pub use shape::{PadMode, concat, stack};
pub use sort::{Interpolation, Side};

use std::fmt;
use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_array::Element;
use cotangent_graph::{GraphError, Location, Op, TensorType, TypeError, Var};

use crate::trace::{self, Place, Trace};
use crate::{Array, DType, Error, Scalar, Shape};
pub(crate) use operand::{one_dtype, spread};

/// A variable of a graph that is being built, or values that are known already.
///
/// Tensors are handles and cheap to clone. Operations on them never fail: the first error is kept,
/// with the line of user code that caused it, and comes out of the [`Function`](crate::Function)
/// that is being traced. Shapes broadcast as in NumPy; dtypes never convert by themselves, but a
/// Rust number beside a tensor takes the tensor's dtype.
///
/// Outside of a traced function operations on known values are computed at once, by the slow
/// reference evaluator: enough for set-up and tests.
///
/// ```
/// use cotangent::Tensor;
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let y = (2.0 * &x - 1.0).sum(0);
/// assert_eq!(y.to_array()?, [6.0, 10.0].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    ty: TensorType,
    value: Value,
}

pub(crate) enum Value {
    /// A variable of a trace.
    Traced(Arc<Trace>, Var),
    /// Values that are known.
    Constant(Constant),
    /// What an operation outside of any trace gives when it fails.
    Failed(GraphError),
}

pub(crate) enum Constant {
    /// One number everywhere.
    Full(Scalar),
    Array(Array),
}

/// Tensors from nothing.
impl Tensor {
    /// One number everywhere.
    ///
    /// ```
    /// use cotangent::{DType, Tensor};
    /// assert_eq!(Tensor::full([2], 0.5_f32).dtype(), DType::F32);
    /// ```
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: impl Into<Scalar>) -> Tensor {
        trace::push(Op::Full(value.into(), shape.into()), &[], Caller::caller())
    }

    /// Zeros.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, Scalar::zero(dtype))
    }

    /// Ones.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, Scalar::one(dtype))
    }

    /// A scalar (rank 0).
    #[track_caller]
    pub fn scalar(value: impl Into<Scalar>) -> Tensor {
        Tensor::full((), value)
    }

    /// Zeros of this tensor's dtype and shape.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        Tensor::zeros(self.shape(), self.dtype())
    }

    /// Ones of this tensor's dtype and shape.
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        Tensor::ones(self.shape(), self.dtype())
    }

    /// One number in this tensor's dtype and shape.
    ///
    /// # Errors
    /// Recorded: a fraction for an integer tensor, as in [`Operand`].
    #[track_caller]
    pub fn full_like(&self, value: impl Into<Scalar>) -> Tensor {
        match operand::scalar_as(self.dtype(), value.into()) {
            Ok(value) => Tensor::full(self.shape(), value),
            Err(message) => fail("full_like", &[self], message),
        }
    }
}

/// What a tensor is.
impl Tensor {
    /// Whether two handles stand for one value.
    pub(crate) fn is_same(&self, other: &Tensor) -> bool {
        match (self.value(), other.value()) {
            (Value::Traced(a, v), Value::Traced(b, w)) => Arc::ptr_eq(a, b) && v == w,
            _ => self.address() == other.address(),
        }
    }

    /// The lengths of the axes; no axes for a scalar.
    ///
    /// After a recorded error this is a guess, so prefer [`dim`](Tensor::dim) to indexing.
    pub fn shape(&self) -> &Shape {
        &self.0.ty.shape
    }

    /// The dtype of every element.
    pub fn dtype(&self) -> DType {
        self.0.ty.dtype
    }

    /// Dtype and shape.
    pub fn ty(&self) -> &TensorType {
        &self.0.ty
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The length of an axis; a negative one counts from the last. 1 where there is no such axis.
    pub fn dim(&self, axis: impl AxisIndex) -> usize {
        axes::index(axis.to_i64(), self.rank())
            .ok()
            .and_then(|a| self.shape().get(a).copied())
            .unwrap_or(1)
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().elements()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, where they are known: for tensors that do not depend on the inputs of a trace.
    ///
    /// # Errors
    /// When the values are not known while a function is traced, or an operation failed.
    pub fn to_array(&self) -> Result<Array, Error> {
        self.known().map_err(Error::from)
    }

    /// The only element, where it is known; see [`to_array`](Tensor::to_array).
    ///
    /// # Errors
    /// As [`to_array`](Tensor::to_array), and when the dtype is another or there is not exactly
    /// one element.
    pub fn item<T: Element>(&self) -> Result<T, Error> {
        Ok(self.to_array()?.item::<T>()?)
    }
}

impl Tensor {
    pub(crate) fn new(ty: TensorType, value: Value) -> Tensor {
        Tensor(Arc::new(Inner { ty, value }))
    }

    pub(crate) fn failed(error: GraphError, like: Option<&TensorType>) -> Tensor {
        let ty = like
            .cloned()
            .unwrap_or_else(|| TensorType::scalar(DType::F64));
        Tensor::new(ty, Value::Failed(error))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0.value
    }

    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// The values of a constant.
    pub(crate) fn known(&self) -> Result<Array, GraphError> {
        match self.value() {
            Value::Constant(Constant::Array(array)) => Ok(array.clone()),
            Value::Constant(Constant::Full(value)) => Array::full(self.shape(), *value)
                .map_err(|e| GraphError::other(e.to_string(), None)),
            Value::Failed(error) => Err(error.clone()),
            Value::Traced(trace, _) if trace.is_open() => Err(GraphError::other(
                format!(
                    "the values of a tensor {} are not known while it is traced",
                    self.ty()
                ),
                None,
            )),
            Value::Traced(..) => Err(trace::ended(None)),
        }
    }

    /// The error of an operation that failed outside of any trace.
    pub(crate) fn error(&self) -> Option<GraphError> {
        match self.value() {
            Value::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// The number that this is everywhere, if that is known.
    pub(crate) fn splat(&self) -> Option<Scalar> {
        match self.value() {
            Value::Constant(Constant::Full(value)) => Some(*value),
            Value::Traced(trace, var) => trace::splat(trace, *var),
            _ => None,
        }
    }
}

/// Applies an operation at the caller's place.
#[track_caller]
pub(crate) fn push(op: impl Into<Op>, args: &[&Tensor]) -> Tensor {
    trace::push(op, args, Caller::caller())
}

/// Records that an operation does not fit its operands.
#[track_caller]
pub(crate) fn fail(op: &str, args: &[&Tensor], message: impl Into<String>) -> Tensor {
    let at: Place = Caller::caller();
    let operands: Vec<String> = args.iter().map(|a| a.ty().to_string()).collect();
    let error = GraphError::Op {
        op: op.to_owned(),
        operands: operands.join(", "),
        error: TypeError::new(message),
        location: Some(Location::Code(at)),
    };
    trace::fail(error, args)
}

impl From<Array> for Tensor {
    fn from(array: Array) -> Tensor {
        let ty = TensorType::new(array.dtype(), array.shape().clone());
        let constant = match array.at(0) {
            Some(value) if array.rank() == 0 => Constant::Full(value),
            _ => Constant::Array(array),
        };
        Tensor::new(ty, Value::Constant(constant))
    }
}

impl From<&Array> for Tensor {
    fn from(array: &Array) -> Tensor {
        Tensor::from(array.clone())
    }
}

impl From<Scalar> for Tensor {
    fn from(value: Scalar) -> Tensor {
        Tensor::from(Array::from(value))
    }
}

macro_rules! from_values {
    ($($type:ty)*) => {$(
        from_values!(@one $type [] $type);
        from_values!(@one $type [] Vec<$type>);
        from_values!(@one $type [] &[$type]);
        from_values!(@one $type [const N: usize] [$type; N]);
        from_values!(@one $type [const N: usize, const M: usize] [[$type; M]; N]);
        from_values!(@one $type [const N: usize, const M: usize, const K: usize]
            [[[$type; K]; M]; N]);
    )*};
    (@one $element:ty [$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> From<$type> for Tensor {
            fn from(values: $type) -> Tensor {
                Tensor::from(Array::from(values))
            }
        }
    };
}

from_values!(bool u8 u32 i32 i64 f32 f64);

/// The type, and the values where they are known.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value(), self.known()) {
            (_, Ok(array)) => write!(f, "{array:?}"),
            (Value::Failed(e), _) => write!(f, "Tensor({}, failed: {e})", self.ty()),
            _ => write!(f, "Tensor({})", self.ty()),
        }
    }
}
