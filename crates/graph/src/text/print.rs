//! Graphs to text.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use cotangent_array::{Array, Scalar};

use super::labels::{self, Labels};
use super::literal::literal_type;
use super::parse::is_reserved;
use super::sugar;
use crate::ops::{Region, Value};
use crate::{Equation, Graph, Op, TensorType, Type, Var};

/// The canonical text of a graph, with the functions that it calls in front of it.
///
/// Reading it back gives an equal graph: `parse(&print(g))?.entry() == g`.
pub fn print(graph: &Graph) -> String {
    print_all(&[graph])
}

/// The text of several graphs and all that they call, each function once.
pub(super) fn print_all(graphs: &[&Graph]) -> String {
    let order = callees_first(graphs);
    let functions = Functions(unique_names(&order, graphs));
    let mut out = String::new();
    for graph in order {
        if !out.is_empty() {
            out.push('\n');
        }
        Printer::new(graph, &functions).function(&mut out);
    }
    out
}

/// The names of the functions of a text.
#[derive(Debug)]
pub(super) struct Functions(HashMap<Key, String>);

impl Functions {
    /// Names for these graphs and all that they call.
    pub(super) fn of(graphs: &[&Graph]) -> Functions {
        Functions(unique_names(&callees_first(graphs), graphs))
    }

    pub(super) fn name(&self, graph: &Graph) -> Option<&str> {
        self.0.get(&Key::of(graph)).map(String::as_str)
    }
}

/// Every graph once, callees before their callers; by a work list, since calls nest.
fn callees_first<'a>(graphs: &[&'a Graph]) -> Vec<&'a Graph> {
    let mut done: HashSet<Key> = HashSet::new();
    let mut order = Vec::new();
    for graph in graphs {
        let mut work: Vec<(&Graph, bool)> = vec![(graph, false)];
        while let Some((g, expanded)) = work.pop() {
            if done.contains(&Key::of(g)) {
                continue;
            }
            if expanded {
                done.insert(Key::of(g));
                order.push(g);
                continue;
            }
            work.push((g, true));
            for e in g.equations().iter().rev() {
                work.extend(e.op.callees().map(|callee| (&*callee.0, false)));
            }
        }
    }
    order
}

/// What tells functions of a text apart: content, checkpoints, and the name that its author gave it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key(u128, u64, String);

impl Key {
    fn of(graph: &Graph) -> Key {
        Key(
            graph.fingerprint(),
            labels::digest(graph),
            graph.name().to_owned(),
        )
    }
}

/// A name for each function that is an identifier and that nothing else has. The graphs asked for
/// come first, so that they keep theirs.
fn unique_names(order: &[&Graph], first: &[&Graph]) -> HashMap<Key, String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = HashMap::new();
    for graph in first.iter().chain(order) {
        let key = Key::of(graph);
        if names.contains_key(&key) {
            continue;
        }
        let wanted = identifier(graph.name());
        let mut name = wanted.clone();
        let mut k = 2;
        while sugar::is_operation(&name) || is_reserved(&name) || taken.contains(&name) {
            name = format!("{wanted}_{k}");
            k += 1;
        }
        taken.insert(name.clone());
        names.insert(key, name);
    }
    names
}

/// The nearest identifier to a name.
pub(crate) fn identifier(name: &str) -> String {
    let mut out: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if !out.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        out.insert(0, 'f');
    }
    out
}

pub(super) struct Printer<'a> {
    graph: &'a Graph,
    functions: &'a Functions,
    /// The name of each variable; empty for constants, which stand inline or get a line.
    names: Vec<String>,
    taken: HashSet<&'a str>,
    next: usize,
    labels: Labels,
}

impl<'a> Printer<'a> {
    pub(super) fn new(graph: &'a Graph, functions: &'a Functions) -> Printer<'a> {
        let mut names = vec![String::new(); graph.equations().len()];
        for (name, v) in graph.inputs() {
            names[v.index()] = name.to_string();
        }
        let taken = graph.inputs().iter().map(|(n, _)| &**n).collect();
        Printer {
            graph,
            functions,
            names,
            taken,
            next: 0,
            labels: Labels::default(),
        }
    }

    fn function(mut self, out: &mut String) {
        let name = self.functions.name(self.graph).unwrap_or("f");
        // Writing to a String cannot fail.
        let _ = write!(out, "fn {name}(");
        for (i, ((name, _), ty)) in self
            .graph
            .inputs()
            .iter()
            .zip(self.graph.input_types())
            .enumerate()
        {
            let _ = write!(out, "{}{name}: {ty}", if i > 0 { ", " } else { "" });
        }
        let outputs = self.graph.output_types();
        let _ = match &outputs[..] {
            [one] => writeln!(out, ") -> {one} {{"),
            several => writeln!(out, ") -> {} {{", Type::Tuple(several.into())),
        };
        for (v, e) in self.graph.iter() {
            if !e.op.is_input() && !e.op.is_constant() {
                self.line(out, v, e);
            }
        }
        let results = self.results(out);
        let _ = match &results[..] {
            [one] => writeln!(out, "    {one}"),
            several => writeln!(out, "    ({})", several.join(", ")),
        };
        out.push_str("}\n");
    }

    /// The results as operands; constants among them that need a name get a line first.
    pub(super) fn results(&mut self, out: &mut String) -> Vec<String> {
        let types = self.graph.output_types();
        (self.graph.outputs().iter().zip(&types))
            .map(|(o, ty)| self.operand(out, *o, Some(ty)))
            .collect()
    }

    /// The name of a variable whose line has been written.
    pub(super) fn name(&self, v: Var) -> &str {
        &self.names[v.index()]
    }

    /// The attributes of an operation, as its line has them.
    pub(super) fn attributes_of(&self, e: &Equation) -> Vec<(&'static str, Value)> {
        self.attributes(e, &self.operand_types(e))
    }

    fn operand_types(&self, e: &Equation) -> Vec<Option<TensorType>> {
        (e.args.iter())
            .map(|a| self.graph.ty(*a).tensor().cloned())
            .collect()
    }

    pub(super) fn line(&mut self, out: &mut String, v: Var, e: &Equation) {
        let types = self.operand_types(e);
        let written: Vec<Option<TensorType>> = e
            .args
            .iter()
            .zip(&types)
            .map(|(a, t)| {
                if self.graph.splat(*a).is_some() {
                    None
                } else {
                    t.clone()
                }
            })
            .collect();
        let mut parts = Vec::with_capacity(e.args.len());
        for (i, a) in e.args.iter().enumerate() {
            let here = literal_type(&e.op, i, Some(&e.ty), &written);
            parts.push(self.operand(out, *a, here.as_ref()));
        }
        for (name, value) in self.attributes(e, &types) {
            parts.push(format!("{name}={value}"));
        }
        if let Op::Native(native) = &e.op {
            let named = native.attributes();
            parts.extend(named.iter().map(|(name, value)| format!("{name}={value}")));
        }
        let op = match &e.op {
            Op::Call(callee) => self.functions.name(&callee.0).unwrap_or("f"),
            op => op.name(),
        };
        let text = format!("{op}({})", parts.join(", "));
        let name = self.fresh();
        let label = self.labels.text(e.checkpoint);
        let _ = writeln!(out, "    {label}let {name}: {} = {text};", e.ty);
        self.names[v.index()] = name;
    }

    fn attributes(&self, e: &Equation, types: &[Option<TensorType>]) -> Vec<(&'static str, Value)> {
        match &e.op {
            Op::Indexed(_, n) => vec![("n", Value::Int(*n))],
            Op::Special(op, orders) => op.attributes(*orders),
            Op::Convert(dtype) => vec![("dtype", Value::Name(dtype.to_string()))],
            Op::Get(index) => vec![("index", Value::Int(*index as i64))],
            Op::Region(region) => self.region_attributes(region),
            Op::Array(op) => {
                let types: Vec<&TensorType> = types.iter().flatten().collect();
                op.attributes(&types)
            }
            Op::Linalg(op) => {
                let types: Vec<&TensorType> = types.iter().flatten().collect();
                op.attributes(&types)
            }
            _ => Vec::new(),
        }
    }

    /// The functions of a branch or loop by name, then its numbers.
    fn region_attributes(&self, region: &Region) -> Vec<(&'static str, Value)> {
        let name = |graph: &Graph| self.functions.name(graph).unwrap_or("f").to_owned();
        let mut out: Vec<(&'static str, Value)> = region
            .callees()
            .into_iter()
            .map(|(a, c)| (a, Value::Name(name(&c.0))))
            .collect();
        out.extend(region.numbers());
        out
    }

    /// The text of an operand: a name, a literal where the reader can tell its type, or the name of
    /// a constant that gets a line first.
    fn operand(&mut self, out: &mut String, v: Var, here: Option<&TensorType>) -> String {
        let e = self.graph.equation(v);
        if !e.op.is_constant() {
            return self.names[v.index()].clone();
        }
        if let (Some(value), Some(ty)) = (e.op.splat(), e.ty.tensor())
            && here == Some(ty)
        {
            return number(value);
        }
        if self.names[v.index()].is_empty() {
            let text = match &e.op {
                Op::Full(value, shape) if shape.is_scalar() => format!("full({})", number(*value)),
                Op::Full(value, shape) => format!("full({}, shape={shape})", number(*value)),
                Op::Constant(array) => format!("constant({})", nested(array)),
                _ => String::new(),
            };
            let name = self.fresh();
            let _ = writeln!(out, "    let {name}: {} = {text};", e.ty);
            self.names[v.index()] = name;
        }
        self.names[v.index()].clone()
    }

    /// The next of v0, v1, ... that no input has.
    fn fresh(&mut self) -> String {
        loop {
            let name = format!("v{}", self.next);
            self.next += 1;
            if !self.taken.contains(&name[..]) {
                return name;
            }
        }
    }
}

/// A number as the parser takes it: a complex one as its two parts.
fn number(value: Scalar) -> String {
    match value {
        Scalar::C64(z) => format!("complex({}, {})", Scalar::F32(z.re), Scalar::F32(z.im)),
        Scalar::C128(z) => format!("complex({}, {})", Scalar::F64(z.re), Scalar::F64(z.im)),
        real => real.to_string(),
    }
}

/// The elements of an array in nested brackets.
fn nested(array: &Array) -> String {
    let dims = array.shape().dims();
    if array.is_empty() {
        return "[]".to_owned();
    }
    let mut out = String::new();
    for (i, element) in array.scalars().enumerate() {
        let mut opening = 0;
        let mut size = 1;
        for d in dims.iter().rev() {
            size *= d;
            if i % size == 0 {
                opening += 1;
            }
        }
        if i > 0 {
            out.push_str(&"]".repeat(opening));
            out.push_str(", ");
        }
        out.push_str(&"[".repeat(opening));
        out.push_str(&number(element));
    }
    out.push_str(&"]".repeat(dims.len()));
    out
}
