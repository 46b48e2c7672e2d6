//! The arguments of a sample, as the mapping asks for them.

use cotangent::{Array, DType, Tensor};
use serde_json::Value;

use crate::sample::Arrays;

/// Why a mapping gave no result.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The library cannot compute this yet: the sample is skipped for this reason.
    NotMapped(String),
    /// The arguments were not understood: the sample fails.
    Wrong(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Wrong(message)
    }
}

impl From<&str> for Stop {
    fn from(message: &str) -> Stop {
        Stop::Wrong(message.to_owned())
    }
}

impl From<cotangent::ArrayError> for Stop {
    fn from(e: cotangent::ArrayError) -> Stop {
        Stop::Wrong(e.to_string())
    }
}

/// The result of a part of a mapping.
pub type Res<T> = Result<T, Stop>;

/// The outputs of an operator.
pub type Outs = Res<Vec<Tensor>>;

/// The sample is skipped for this reason.
pub fn not_mapped<T>(reason: impl Into<String>) -> Res<T> {
    Err(Stop::NotMapped(reason.into()))
}

/// One argument.
#[derive(Clone, Debug)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Slice([Option<i64>; 3]),
    Ellipsis,
    DType(String),
    /// An array that is not differentiated: its values are known.
    Known(Array),
    /// The number of a differentiated input.
    Input(usize),
    /// Something that no mapping looks at: a memory format, a device.
    Other(String),
}

impl Node {
    /// Reads an argument; `wrt` are the names of the differentiated arrays.
    pub fn parse(value: &Value, wrt: &[String], arrays: &Arrays) -> Result<Node, String> {
        Ok(match value {
            Value::Null => Node::Null,
            Value::Bool(b) => Node::Bool(*b),
            Value::Number(n) => match n.as_i64() {
                Some(i) => Node::Int(i),
                None => Node::Float(n.as_f64().ok_or_else(|| format!("unreadable number {n}"))?),
            },
            Value::String(s) if s == "Ellipsis" || s == "..." => Node::Ellipsis,
            Value::String(s) => Node::Text(s.clone()),
            Value::Array(list) => Node::List(
                list.iter()
                    .map(|v| Node::parse(v, wrt, arrays))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => {
                let Some((key, inner)) = map.iter().next().filter(|_| map.len() == 1) else {
                    return Ok(Node::Other(value.to_string()));
                };
                match (key.as_str(), inner) {
                    ("$", Value::String(name)) => match wrt.iter().position(|w| w == name) {
                        Some(i) => Node::Input(i),
                        None => Node::Known(
                            arrays
                                .get(name)
                                .ok_or_else(|| format!("no array {name}"))?
                                .clone(),
                        ),
                    },
                    ("float", Value::String(s)) => {
                        Node::Float(s.parse().map_err(|_| format!("unreadable number {s}"))?)
                    }
                    ("float", Value::Number(n)) => Node::Float(n.as_f64().unwrap_or(f64::NAN)),
                    ("slice", Value::Array(ends)) => {
                        let end = |i: usize| ends.get(i).and_then(Value::as_i64);
                        Node::Slice([end(0), end(1), end(2)])
                    }
                    ("ellipsis" | "Ellipsis", _) => Node::Ellipsis,
                    ("dtype", Value::String(s)) => Node::DType(s.clone()),
                    ("tuple" | "list" | "size", list @ Value::Array(_)) => {
                        Node::parse(list, wrt, arrays)?
                    }
                    _ => Node::Other(value.to_string()),
                }
            }
        })
    }

    fn int(&self) -> Option<i64> {
        match self {
            Node::Int(i) => Some(*i),
            Node::Bool(b) => Some(i64::from(*b)),
            Node::Known(a) if a.len() == 1 && !a.dtype().is_float() => a.at(0).map(|s| s.to_i64()),
            _ => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Node::Float(x) => Some(*x),
            Node::Known(a) if a.len() == 1 => a.at(0).map(|s| s.to_f64()),
            _ => self.int().map(|i| i as f64),
        }
    }
}

/// The arguments of one call. An argument is asked for by its position and its name.
pub struct Args<'a> {
    pub variant: &'a str,
    positional: &'a [Node],
    keyword: &'a [(String, Node)],
    inputs: &'a [Tensor],
}

impl<'a> Args<'a> {
    pub fn new(
        variant: &'a str,
        positional: &'a [Node],
        keyword: &'a [(String, Node)],
        inputs: &'a [Tensor],
    ) -> Args<'a> {
        Args {
            variant,
            positional,
            keyword,
            inputs,
        }
    }

    /// How many arguments have no name.
    pub fn count(&self) -> usize {
        self.positional.len()
    }

    /// All arguments that have no name.
    pub fn all(&self) -> &'a [Node] {
        self.positional
    }

    /// The argument at a position or, where there is none, of a name.
    pub fn node(&self, position: usize, name: &str) -> &'a Node {
        match self.positional.get(position) {
            Some(node) => node,
            None => self.named(name),
        }
    }

    /// The argument of a name.
    pub fn named(&self, name: &str) -> &'a Node {
        self.keyword
            .iter()
            .find(|(k, _)| k == name)
            .map_or(&Node::Null, |(_, node)| node)
    }

    /// Whether the argument is there and not null.
    pub fn has(&self, position: usize, name: &str) -> bool {
        !matches!(self.node(position, name), Node::Null)
    }

    /// An argument as a tensor: an array, or a number as a scalar.
    pub fn tensor(&self, position: usize, name: &str) -> Res<Tensor> {
        self.to_tensor(self.node(position, name))
            .ok_or_else(|| self.expected(position, name, "a tensor"))
    }

    /// The first argument as a tensor.
    pub fn x(&self) -> Res<Tensor> {
        self.tensor(0, "input")
    }

    /// An argument as a tensor of floats, whatever numbers it holds.
    pub fn real(&self, position: usize, name: &str) -> Res<Tensor> {
        Ok(self.tensor(position, name)?.convert(DType::F64))
    }

    /// A tensor, or nothing for null.
    pub fn opt_tensor(&self, position: usize, name: &str) -> Res<Option<Tensor>> {
        if self.has(position, name) {
            self.tensor(position, name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A list of tensors.
    pub fn tensors(&self, position: usize, name: &str) -> Res<Vec<Tensor>> {
        match self.node(position, name) {
            Node::List(list) => list
                .iter()
                .map(|n| {
                    self.to_tensor(n)
                        .ok_or_else(|| self.expected(position, name, "a list of tensors"))
                })
                .collect(),
            _ => Err(self.expected(position, name, "a list of tensors")),
        }
    }

    /// All arguments without a name, or the list that is the only one, as tensors.
    pub fn variadic_tensors(&self) -> Outs {
        match self.positional {
            [Node::List(_)] => self.tensors(0, "tensors"),
            _ => (0..self.count())
                .map(|i| self.tensor(i, "tensors"))
                .collect(),
        }
    }

    /// An argument whose values are known.
    pub fn known(&self, position: usize, name: &str) -> Res<&'a Array> {
        match self.node(position, name) {
            Node::Known(array) => Ok(array),
            _ => Err(self.expected(position, name, "an array that is not differentiated")),
        }
    }

    /// The tensor of a node.
    pub fn to_tensor(&self, node: &Node) -> Option<Tensor> {
        match node {
            Node::Input(i) => self.inputs.get(*i).cloned(),
            Node::Known(array) => Some(Tensor::from(array)),
            Node::Int(_) | Node::Float(_) | Node::Bool(_) => node.float().map(Tensor::scalar),
            _ => None,
        }
    }

    pub fn int(&self, position: usize, name: &str) -> Res<i64> {
        self.node(position, name)
            .int()
            .ok_or_else(|| self.expected(position, name, "an integer"))
    }

    pub fn int_or(&self, position: usize, name: &str, default: i64) -> Res<i64> {
        if self.has(position, name) {
            self.int(position, name)
        } else {
            Ok(default)
        }
    }

    pub fn size(&self, position: usize, name: &str) -> Res<usize> {
        usize::try_from(self.int(position, name)?)
            .map_err(|_| self.expected(position, name, "a number from 0"))
    }

    pub fn float(&self, position: usize, name: &str) -> Res<f64> {
        self.node(position, name)
            .float()
            .ok_or_else(|| self.expected(position, name, "a number"))
    }

    pub fn float_or(&self, position: usize, name: &str, default: f64) -> Res<f64> {
        if self.has(position, name) {
            self.float(position, name)
        } else {
            Ok(default)
        }
    }

    pub fn bool_or(&self, position: usize, name: &str, default: bool) -> Res<bool> {
        match self.node(position, name) {
            Node::Null => Ok(default),
            Node::Bool(b) => Ok(*b),
            Node::Int(i) => Ok(*i != 0),
            _ => Err(self.expected(position, name, "a bool")),
        }
    }

    pub fn text_or(&self, position: usize, name: &str, default: &'a str) -> Res<&'a str> {
        match self.node(position, name) {
            Node::Null => Ok(default),
            Node::Text(s) => Ok(s),
            _ => Err(self.expected(position, name, "a string")),
        }
    }

    /// Integers: a list, an integer array, or a single one.
    pub fn ints(&self, position: usize, name: &str) -> Res<Vec<i64>> {
        ints_of(self.node(position, name)).ok_or_else(|| self.expected(position, name, "integers"))
    }

    /// Integers, or nothing for null.
    pub fn opt_ints(&self, position: usize, name: &str) -> Res<Option<Vec<i64>>> {
        if self.has(position, name) {
            self.ints(position, name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Numbers: a list or a single one; null in a list is `None`.
    pub fn opt_sizes(&self, position: usize, name: &str) -> Res<Vec<Option<usize>>> {
        let one = |n: &Node| match n {
            Node::Null => Some(None),
            _ => n.int().and_then(|i| usize::try_from(i).ok()).map(Some),
        };
        let list = match self.node(position, name) {
            Node::List(list) => list.iter().map(one).collect(),
            node => one(node).map(|n| vec![n]),
        };
        list.ok_or_else(|| self.expected(position, name, "sizes"))
    }

    /// Numbers: a list or a single one.
    pub fn floats(&self, position: usize, name: &str) -> Res<Vec<f64>> {
        let list = match self.node(position, name) {
            Node::List(list) => list.iter().map(Node::float).collect(),
            Node::Known(a) => Some(a.to_f64s()),
            node => node.float().map(|x| vec![x]),
        };
        list.ok_or_else(|| self.expected(position, name, "numbers"))
    }

    /// Integers that are written as a list or one by one up to the last argument: `view(2, 3)`.
    pub fn rest(&self, position: usize, name: &str) -> Res<Vec<i64>> {
        match self.positional.get(position..) {
            Some([one]) => ints_of(one),
            Some([]) | None => ints_of(self.named(name)).or(Some(Vec::new())),
            Some(many) => many.iter().map(Node::int).collect(),
        }
        .ok_or_else(|| self.expected(position, name, "integers"))
    }

    /// The dtype that the result is converted to, where one is asked for.
    pub fn dtype(&self) -> Res<Option<DType>> {
        let node = self.positional.iter().find(|n| matches!(n, Node::DType(_)));
        let named = self.named("dtype");
        match (node, named) {
            (Some(Node::DType(name)), _) | (None, Node::DType(name)) => dtype(name).map(Some),
            (None, Node::Null) => Ok(None),
            _ => Err("expected a dtype".into()),
        }
    }

    fn expected(&self, position: usize, name: &str, what: &str) -> Stop {
        let found = self.node(position, name);
        let mut found = format!("{found:?}");
        if found.len() > 80 {
            found = format!("{}...", found.chars().take(80).collect::<String>());
        }
        Stop::Wrong(format!(
            "argument {position} `{name}`: expected {what}, found {found}"
        ))
    }
}

fn ints_of(node: &Node) -> Option<Vec<i64>> {
    match node {
        Node::List(list) => list.iter().map(Node::int).collect(),
        Node::Known(a) if !a.dtype().is_float() => Some(a.scalars().map(|s| s.to_i64()).collect()),
        _ => node.int().map(|i| vec![i]),
    }
}

fn dtype(name: &str) -> Res<DType> {
    Ok(match name.trim_start_matches("torch.") {
        "float64" | "double" => DType::F64,
        "float32" | "float" => DType::F32,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "uint8" => DType::U8,
        "bool" => DType::Bool,
        other => return not_mapped(format!("dtype {other} is not there yet")),
    })
}
