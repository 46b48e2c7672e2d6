//! Functions as pictures.
//!
//! What a page shows beside the graph (values, passes, memory, time) belongs here too.

use cotangent_view::model::Picture;

use super::{Function, Typed};
use crate::{Error, Leaf, Tensor, Tree};

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The picture of the function's graph for arguments of these types (types or arrays): boxes and
    /// arrows with their places, grouped by [scopes](crate::scope) and called functions.
    ///
    /// ```
    /// use cotangent::{DType, Function, Tensor, TensorType};
    /// let f = Function::new(|w: &Tensor| w.exp().exp().exp());
    /// let picture = f.grad().to_picture(&(TensorType::new(DType::F64, ()),))?;
    /// assert!(picture.groups[0].nodes.iter().any(|node| node.op == "exp"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Function::trace).
    pub fn to_picture<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<Picture, Error> {
        Ok(cotangent_view::picture(&*self.graph(arguments)?))
    }

    /// The picture of the function's graph as SVG, for arguments of these types (types or arrays).
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| (x * x).sum(..));
    /// let svg = f.grad().to_svg(&(Array::from([1.0, 2.0]),))?;
    /// assert!(svg.starts_with("<svg"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Function::trace).
    pub fn to_svg<L: Leaf + Typed>(&self, arguments: &I::Of<L>) -> Result<String, Error> {
        Ok(cotangent_view::graph_svg(&self.to_picture(arguments)?))
    }
}
