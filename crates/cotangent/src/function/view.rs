//! Functions as pictures and pages.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use cotangent_compile::Options;
use cotangent_view::model::Picture;
use cotangent_view::{Study, ViewError};

use super::{Function, Typed};
use crate::checked::{self, CheckedError};
use crate::{Array, Error, Leaf, Location, Tensor, Tree};

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

    /// A page about the function at these arguments, as one HTML file that opens from disk: its graph, a
    /// walk through every operation forward and backward, what each pass of the compiler changes,
    /// memory, cost, and where a NaN comes from. Runs the function.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.tanh().square().sum(..));
    /// let html = f.to_html(&(Array::from([0.5, -1.0]),))?;
    /// assert!(html.starts_with("<!doctype html>") && html.contains("tanh"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`trace`](Function::trace); errors of running the function.
    pub fn to_html(&self, arguments: &I::Of<Array>) -> Result<String, Error> {
        let graph = self.graph(arguments)?;
        let inputs: Vec<Array> = arguments.leaves().into_iter().cloned().collect();
        let trouble = match checked::eval(&graph, &inputs) {
            Err(CheckedError::Fault(fault)) => Some(fault.to_string()),
            // Whatever else is wrong is said where the function runs.
            _ => None,
        };
        let study = Study {
            about: "value, derivative and what they cost, operation by operation".to_owned(),
            inputs: Some(&inputs),
            options: Options {
                memory_budget: self.inner.limits.memory_budget,
                flush_subnormals: self.inner.limits.flush_subnormals,
                ..Options::default()
            },
            curve_points: CURVE,
            examples: true,
            measure: true,
            trouble,
            ..Study::default()
        };
        let page = study.page(&graph, &line).map_err(Error::from)?;
        Ok(cotangent_view::page(&page).map_err(cotangent_view::ViewError::from)?)
    }

    /// Writes the page of [`to_html`](Function::to_html) into the system's folder for temporary files,
    /// prints where it is, and returns that.
    ///
    /// ```no_run
    /// use cotangent::{Array, Function, Tensor};
    /// Function::new(|x: &Tensor| x.tanh().sum(..)).view(&(Array::from([0.5, -1.0]),))?;
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`to_html`](Function::to_html), and of writing.
    pub fn view(&self, arguments: &I::Of<Array>) -> Result<PathBuf, Error> {
        let html = self.to_html(arguments)?;
        let whole = written(&html).map_err(ViewError::from)?;
        println!("{}", whole.display());
        Ok(whole)
    }
}

/// Writes a page into a file of its own. A name that is taken, by an earlier page or by somebody
/// else, is passed over.
fn written(html: &str) -> std::io::Result<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cotangent-{}-{number}.html", std::process::id());
        let path = std::env::temp_dir().join(name);
        match File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(html.as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many budgets the curve of memory against time has.
const CURVE: usize = 8;

/// The line of Rust source at a place, if its file can be read from here.
fn line(location: Location) -> Option<String> {
    let Location::Code(place) = location.origin() else {
        return None;
    };
    let text = std::fs::read_to_string(place.file()).ok()?;
    text.lines()
        .nth((place.line() as usize).checked_sub(1)?)
        .map(str::to_owned)
}
