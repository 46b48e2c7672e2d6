//! Operations written in plain Rust by users.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cotangent_array::Array;

use super::Value;
use crate::{EvalError, TensorType, Type, TypeError, type_error};

/// An operation that is a Rust closure on arrays.
///
/// The engine knows its name, version and attributes, by which two of them are equal, and the types
/// of its results. It must be pure: the same operands give the same results. It has no derivative;
/// a function around it may be given one. Over a batch it is called once for each example, in a loop.
///
/// ```
/// use cotangent_array::Array;
/// use cotangent_graph::ops::Native;
/// let twice = Native::new(
///     "twice",
///     |operands| Ok(operands.to_vec()),
///     |operands: &[Array]| -> Result<Vec<Array>, std::convert::Infallible> {
///         let values: Vec<f64> = operands[0].to_f64s().iter().map(|x| 2.0 * x).collect();
///         Ok(vec![Array::from(values)])
///     },
/// );
/// assert_eq!(twice.name(), "twice");
/// ```
#[derive(Clone)]
pub struct Native(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    name: String,
    version: u32,
    attributes: Vec<(String, Value)>,
    /// Name, version and attributes as the text form writes them: equality and hash.
    key: String,
    results: Arc<Results>,
    run: Arc<Run>,
}

type Results = dyn Fn(&[TensorType]) -> Result<Vec<TensorType>, String> + Send + Sync;
type Run = dyn Fn(&[Array]) -> Result<Vec<Array>, String> + Send + Sync;

impl Native {
    /// An operation of this name, which is an identifier, at version 1.
    ///
    /// `results` gives the types of the results, one or more, from those of the operands, or says
    /// what was expected of them. `run` computes the results. A panic in either is caught and
    /// becomes an error.
    pub fn new<E: fmt::Display>(
        name: &str,
        results: impl Fn(&[TensorType]) -> Result<Vec<TensorType>, String> + Send + Sync + 'static,
        run: impl Fn(&[Array]) -> Result<Vec<Array>, E> + Send + Sync + 'static,
    ) -> Native {
        Native(Arc::new(Inner {
            name: name.to_owned(),
            version: 1,
            attributes: Vec::new(),
            key: String::new(),
            results: Arc::new(results),
            run: Arc::new(move |args| run(args).map_err(|e| e.to_string())),
        }))
        .keyed()
    }

    /// The same operation at another version: a change of meaning needs one.
    pub fn version(mut self, version: u32) -> Native {
        Arc::make_mut(&mut self.0).version = version;
        self.keyed()
    }

    /// The same operation with an attribute, which the text form shows: a number, a bool, a word or
    /// a list of them. Two operations whose closures do different things need different ones.
    pub fn attribute(mut self, name: &str, value: impl Into<Value>) -> Native {
        let inner = Arc::make_mut(&mut self.0);
        inner.attributes.push((name.to_owned(), value.into()));
        self.keyed()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Name, version and attributes, as the text form writes them.
    pub fn attributes(&self) -> Vec<(&str, Value)> {
        let mut all = vec![
            ("name", Value::Name(self.0.name.clone())),
            ("version", Value::Int(i64::from(self.0.version))),
        ];
        all.extend(self.0.attributes.iter().map(|(n, v)| (&n[..], v.clone())));
        all
    }

    /// The type of the result: an array for one, a tuple for several.
    pub(crate) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        for (i, (name, value)) in self.attributes().iter().enumerate() {
            let known = i >= 2 && (*name == "name" || *name == "version");
            if known || !is_word(name) || !is_plain(value) {
                type_error!(
                    "expected a name and attributes that the text form can write, found {name}={value}"
                );
            }
        }
        let types: Vec<TensorType> = args.iter().map(|t| (*t).clone()).collect();
        let results = match catch_unwind(AssertUnwindSafe(|| (self.0.results)(&types))) {
            Ok(Ok(results)) => results,
            Ok(Err(message)) => type_error!("{message}"),
            Err(panic) => type_error!("the types of its results panicked: {}", message(&panic)),
        };
        if results.is_empty() {
            type_error!("expected one result or more, found none");
        }
        for ty in &results {
            ty.check_size()?;
        }
        Ok(super::region::tuple(results))
    }

    /// Runs the closure and checks what it gives.
    ///
    /// # Errors
    /// What the closure says, a panic in it, or results of other types than were stated.
    pub fn run(&self, args: &[Array], out: &Type) -> Result<Vec<Array>, EvalError> {
        let wrong = |message: String| EvalError::Native {
            name: self.0.name.clone(),
            message,
        };
        let results = match catch_unwind(AssertUnwindSafe(|| (self.0.run)(args))) {
            Ok(results) => results.map_err(wrong)?,
            Err(panic) => return Err(wrong(format!("it panicked: {}", message(&panic)))),
        };
        let want = out.components();
        if results.len() != want.len() {
            let (want, found) = (want.len(), results.len());
            return Err(wrong(format!("expected {want} results, found {found}")));
        }
        for (i, (array, want)) in results.iter().zip(want).enumerate() {
            let found = TensorType::new(array.dtype(), array.shape().clone());
            if found != *want {
                return Err(wrong(format!(
                    "expected result {i} to be {want}, as it was stated, found {found}"
                )));
            }
        }
        Ok(results)
    }

    fn keyed(mut self) -> Native {
        let all = self.attributes();
        let all: Vec<String> = all.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let key = all.join(", ");
        Arc::make_mut(&mut self.0).key = key;
        self
    }
}

impl PartialEq for Native {
    fn eq(&self, other: &Native) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Native {}

impl Hash for Native {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Native({})", self.0.key)
    }
}

/// The native operations that a text may name; see [`parse_with`](crate::parse_with).
#[derive(Clone, Debug, Default)]
pub struct Registry {
    natives: Vec<Native>,
}

impl Registry {
    /// A registry of no operations.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// The registry with one more operation; it replaces an equal one.
    pub fn with(mut self, native: Native) -> Registry {
        self.natives.retain(|n| *n != native);
        self.natives.push(native);
        self
    }

    /// The operation with these attributes, name and version among them, in any order.
    pub(crate) fn find(&self, attributes: &[(String, Value)]) -> Result<Native, TypeError> {
        let text = |(name, value): (&str, &Value)| format!("{name}={value}");
        let mut wanted: Vec<String> = attributes.iter().map(|(n, v)| text((n, v))).collect();
        if !attributes.iter().any(|(n, _)| n == "version") {
            wanted.push("version=1".to_owned());
        }
        wanted.sort();
        let is_wanted = |native: &&Native| {
            let all = native.attributes();
            let mut own: Vec<String> = all.iter().map(|(n, v)| text((n, v))).collect();
            own.sort();
            own == wanted
        };
        if let Some(native) = self.natives.iter().find(is_wanted) {
            return Ok(native.clone());
        }
        let known: Vec<String> = (self.natives.iter())
            .map(|n| format!("native({})", n.0.key))
            .collect();
        let known = match known.is_empty() {
            true => "it is empty".to_owned(),
            false => format!("it has {}", known.join(", ")),
        };
        type_error!(
            "no such operation in the registry that the text is read with ({}); {known}",
            wanted.join(", ")
        );
    }
}

impl From<i64> for Value {
    fn from(x: i64) -> Value {
        Value::Int(x)
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Float(x)
    }
}

impl From<bool> for Value {
    fn from(x: bool) -> Value {
        Value::Bool(x)
    }
}

impl From<&str> for Value {
    fn from(x: &str) -> Value {
        Value::Name(x.to_owned())
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(x: Vec<T>) -> Value {
        Value::List(x.into_iter().map(Into::into).collect())
    }
}

/// Whether the text form reads this as one word.
fn is_word(name: &str) -> bool {
    crate::text::identifier(name) == name && !crate::text::is_reserved(name)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Name(name) => is_word(name),
        Value::Float(x) => x.is_finite(),
        Value::List(items) | Value::Tuple(items) => items
            .iter()
            .all(|v| !matches!(v, Value::List(_) | Value::Tuple(_)) && is_plain(v)),
        Value::Int(_) | Value::Bool(_) => true,
    }
}

fn message(panic: &Box<dyn std::any::Any + Send>) -> &str {
    (panic.downcast_ref::<String>().map(String::as_str))
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
}
