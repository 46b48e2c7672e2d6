//! Layers, first parameters and losses.
//!
//! A layer is a plain struct of its parameters, a [`Tree`](crate::Tree), with a function from tensors to tensors.
//! What is no parameter (strides, an activation) is plain data or an argument; nothing is hidden: chance comes from
//! a [`Key`](crate::Key) that is passed in, and running statistics are results.
//!
//! ```
//! use cotangent::nn::{Activation, Init, Mlp, softmax_cross_entropy};
//! use cotangent::{Array, DType, Error, Function, Key, Tensor, Tree};
//!
//! let model = Mlp::init(&Key::new(0), &[4, 8, 3], Activation::Tanh, Init::GlorotUniform, DType::F64);
//! let params: Mlp<Array> = model.try_map::<_, Error>(Tensor::to_array)?;
//! assert_eq!(params.paths(), ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]);
//!
//! let loss = Function::new(|model: &Mlp<Tensor>, x: &Tensor, labels: &Tensor| {
//!     softmax_cross_entropy(&model.apply(x), labels)
//! });
//! let x = Array::zeros(DType::F64, [2, 4])?;
//! let (value, gradient) = loss.value_and_grad().call((params, x, Array::from([0i64, 2])))?;
//! assert!((value.item::<f64>()? - 3f64.ln()).abs() < 1e-12);
//! assert_eq!(gradient.layers[1].bias.as_ref().map(Array::len), Some(3));
//! # Ok::<(), Error>(())
//! ```

mod activation;
mod conv;
mod embedding;
mod init;
mod linear;
mod loss;
mod norm;

pub use activation::Activation;
pub use conv::Conv;
pub use embedding::Embedding;
pub use init::Init;
pub use linear::{Linear, Mlp};
pub use loss::{
    accuracy, binary_cross_entropy, huber, mae, mse, smoothed_cross_entropy, softmax_cross_entropy,
};
pub use norm::{BatchNorm, BatchStatistics, LayerNorm};
