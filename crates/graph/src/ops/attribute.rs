//! Attributes of operations, written and read in one declared order so that text and value
//! cannot drift apart.

use std::fmt;

use cotangent_array::{DType, Scalar, Shape};

use crate::{TensorType, TypeError};

/// An attribute as it stands in a text.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a fraction, or `nan`, `inf`.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A bare word, such as a dtype.
    Name(String),
    /// `[a, b, c]`
    List(Vec<Value>),
    /// `(a, b)`
    Tuple(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = |f: &mut fmt::Formatter<'_>, items: &[Value]| {
            for (i, v) in items.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{v}")?;
            }
            Ok(())
        };
        match self {
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{}", Scalar::F64(*x)),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Name(n) => f.write_str(n),
            Value::List(v) => {
                f.write_str("[")?;
                items(f, v)?;
                f.write_str("]")
            }
            Value::Tuple(v) => {
                f.write_str("(")?;
                items(f, v)?;
                f.write_str(if v.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

/// A type that an attribute may have.
pub trait Attribute: Sized + PartialEq {
    /// What a reader should have written, for errors.
    const EXPECTED: &'static str;
    /// The value as text.
    fn to_value(&self) -> Value;
    /// The value from text.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Attribute for usize {
    const EXPECTED: &'static str = "a whole number of 0 or more";
    fn to_value(&self) -> Value {
        Value::Int(*self as i64)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        }
    }
}

impl Attribute for i64 {
    const EXPECTED: &'static str = "a whole number";
    fn to_value(&self) -> Value {
        Value::Int(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }
}

impl Attribute for bool {
    const EXPECTED: &'static str = "true or false";
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }
}

impl Attribute for DType {
    const EXPECTED: &'static str = "a dtype such as f64";
    fn to_value(&self) -> Value {
        Value::Name(self.to_string())
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Name(n) => n.parse().ok(),
            _ => None,
        }
    }
}

impl Attribute for Shape {
    const EXPECTED: &'static str = "a shape such as [2, 3]";
    fn to_value(&self) -> Value {
        self.dims().to_vec().to_value()
    }
    fn from_value(value: &Value) -> Option<Self> {
        Vec::<usize>::from_value(value).map(Shape::from)
    }
}

impl<T: Attribute> Attribute for Vec<T> {
    const EXPECTED: &'static str = "a list such as [0, 1]";
    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(items) => items.iter().map(T::from_value).collect(),
            _ => None,
        }
    }
}

impl<A: Attribute, B: Attribute> Attribute for (A, B) {
    const EXPECTED: &'static str = "a pair such as ([1], [0])";
    fn to_value(&self) -> Value {
        Value::Tuple(vec![self.0.to_value(), self.1.to_value()])
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Tuple(items) => match &items[..] {
                [a, b] => Some((A::from_value(a)?, B::from_value(b)?)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A number whose dtype is another attribute or an operand's: kept as its text's value.
impl Attribute for Scalar {
    const EXPECTED: &'static str = "a number or true or false";
    fn to_value(&self) -> Value {
        match *self {
            Scalar::Bool(b) => Value::Bool(b),
            Scalar::F64(x) => Value::Float(x),
            // The shortest text of an f32 reads back to the same f32, not the digits of its f64.
            Scalar::F32(x) => Value::Float(x.to_string().parse().unwrap_or(f64::from(x))),
            other => Value::Int(other.to_i64()),
        }
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(i) => Some(Scalar::I64(*i)),
            Value::Float(x) => Some(Scalar::F64(*x)),
            Value::Bool(b) => Some(Scalar::Bool(*b)),
            _ => None,
        }
    }
}

/// The attributes of an operation by name, taken out one at a time while it is read.
#[derive(Clone, Debug, Default)]
pub struct Attributes(pub Vec<(String, Value)>);

impl Attributes {
    /// Takes an attribute out; `None` when it was not written.
    pub fn take<T: Attribute>(&mut self, name: &str) -> Result<Option<T>, TypeError> {
        let Some(i) = self.0.iter().position(|(n, _)| n == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(i);
        match T::from_value(&value) {
            Some(v) => Ok(Some(v)),
            None => {
                crate::type_error!(
                    "attribute `{name}`: expected {}, found {value}",
                    T::EXPECTED
                )
            }
        }
    }

    /// Fails when an attribute is left that the operation does not have.
    pub fn finish(self, known: &[&str]) -> Result<(), TypeError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) if known.contains(&name.as_str()) => {
                crate::type_error!("attribute `{name}` is given twice")
            }
            Some((name, _)) if known.is_empty() => {
                crate::type_error!("unknown attribute `{name}`: this operation has none")
            }
            Some((name, _)) => {
                crate::type_error!("unknown attribute `{name}`, expected {}", known.join(", "))
            }
        }
    }
}

/// What the text form needs of an operation with attributes; `op_struct!` writes it.
pub trait Attributed: Sized {
    /// The name in texts.
    const NAME: &'static str;
    /// The documentation of the operation.
    const DOC: &'static str;
    /// The names of the attributes, in the order in which they are printed.
    const FIELDS: &'static [&'static str];
    /// The attributes that differ from their defaults.
    fn attributes(&self, args: &[&TensorType]) -> Vec<(&'static str, Value)>;
    /// Reads the attributes; those not written take their defaults.
    fn from_attributes(attributes: Attributes, args: &[&TensorType]) -> Result<Self, TypeError>;
}

/// Tells the compiler that a closure is the default of an attribute; for [`op_struct!`].
#[doc(hidden)]
pub fn default_of<T, F: Fn(&[&TensorType]) -> T>(default: F) -> F {
    default
}

/// Declares an operation's struct together with its attributes in text.
///
/// `field: Type = |args| default` gives an attribute a default computed from the types of the
/// operands and from the attributes above it, by their names; an attribute without one must be
/// written.
#[macro_export]
#[doc(hidden)]
macro_rules! op_struct {
    ($(#[doc = $doc:literal])* $T:ident = $name:literal {
        $($(#[doc = $fdoc:literal])* $field:ident : $ft:ty $(= $default:expr)?),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub struct $T { $($(#[doc = $fdoc])* pub $field: $ft),* }

        impl $crate::ops::Attributed for $T {
            const NAME: &'static str = $name;
            const DOC: &'static str = concat!($($doc, "\n"),*);
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
            #[allow(unused_variables, unused_mut, unused_assignments)]
            fn attributes(
                &self,
                args: &[&$crate::TensorType],
            ) -> Vec<(&'static str, $crate::ops::Value)> {
                let mut out = Vec::new();
                $(
                    let $field = &self.$field;
                    let mut written = true;
                    $(
                        let default = $crate::ops::default_of::<$ft, _>($default);
                        written = default(args) != self.$field;
                    )?
                    if written {
                        out.push((
                            stringify!($field),
                            $crate::ops::Attribute::to_value(&self.$field),
                        ));
                    }
                )*
                out
            }
            #[allow(unused_variables, unused_mut, unused_assignments)]
            fn from_attributes(
                mut attributes: $crate::ops::Attributes,
                args: &[&$crate::TensorType],
            ) -> Result<Self, $crate::TypeError> {
                $(
                    let mut $field: Option<$ft> = attributes.take(stringify!($field))?;
                    $(
                        let default = $crate::ops::default_of::<$ft, _>($default);
                        if $field.is_none() { $field = Some(default(args)); }
                    )?
                    let Some($field) = $field else {
                        return Err($crate::TypeError::new(format!(
                            "missing attribute `{}`: expected {}",
                            stringify!($field),
                            <$ft as $crate::ops::Attribute>::EXPECTED,
                        )));
                    };
                )*
                attributes.finish(Self::FIELDS)?;
                Ok($T { $($field),* })
            }
        }
    };
}
