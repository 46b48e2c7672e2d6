//! A computation forward and backward, one operation at a time.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::{Array, Scalar};
use cotangent_graph::{Builder, Equation, Graph, Line, Listing, Op, TensorType, Type, Var};

use crate::ViewError;
use crate::model::{Named, Operand, Step, Value, Walk};
use crate::scene::partials;

/// Graphs of more operations are not walked through.
pub const MOST_STEPS: usize = 5000;
/// How many numbers all values of a walk have together, about.
const MOST_NUMBERS: usize = 400_000;
/// Local derivatives with more elements are not shown.
const MOST_ENTRIES: usize = 1024;
/// As are those of results with more elements, since each takes a run.
const MOST_ROWS: usize = 64;

/// Walks through a graph: every operation with its values, then the way back from the first output
/// to the chosen inputs. Calls are put in place first; the graph that is walked through comes with
/// the walk, and [`Step::node`] is the position of an equation in it.
///
/// Each operation runs by itself, compiled as any graph is, and its derivative is that of a graph of
/// this one operation: the chain rule as a textbook draws it. Results and gradients are those of the
/// whole function's program. An output that is no scalar is summed.
///
/// # Errors
/// Inputs that do not fit; a function of more than [`MOST_STEPS`] operations; errors of running.
pub fn walk(graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Result<(Walk, Graph), ViewError> {
    let graph = in_place(graph)?;
    check_size(graph.equations().len())?;
    let mut walker = Walker::new(&graph);
    walker.forward(inputs)?;
    walker.backward(wrt)?;
    let mut walk = Walk {
        name: graph.name().to_owned(),
        inputs: walker.named(graph.inputs().iter().map(|(n, v)| (n.to_string(), *v))),
        steps: std::mem::take(&mut walker.steps),
        ..Walk::default()
    };
    walker.finish(&mut walk, inputs, wrt)?;
    Ok((walk, graph))
}

fn check_size(found: usize) -> Result<(), ViewError> {
    let most = MOST_STEPS;
    let what = "operations to walk through";
    match found > most {
        true => Err(ViewError::TooLarge { what, found, most }),
        false => Ok(()),
    }
}

/// The graph with what it calls put in place.
fn in_place(graph: &Graph) -> Result<Graph, ViewError> {
    let mut graph = graph.clone();
    while graph
        .equations()
        .iter()
        .any(|e| matches!(e.op, Op::Call(_)))
    {
        let mut b = Builder::new(graph.name());
        let mut of: Vec<Vec<Var>> = Vec::with_capacity(graph.equations().len());
        let names: HashMap<usize, &str> = graph
            .inputs()
            .iter()
            .map(|(n, v)| (v.index(), &**n))
            .collect();
        for (v, e) in graph.iter() {
            let args: Vec<Var> = e.args.iter().map(|a| of[a.index()][0]).collect();
            b.follow(e);
            let vars = match (&e.op, &e.ty) {
                (Op::Call(callee), _) => b.inline(&callee.0, &args),
                (Op::Get(i), _) => vec![of[e.args[0].index()].get(*i).copied().unwrap_or(args[0])],
                (op, Type::Tensor(ty)) if op.is_input() => {
                    vec![b.input(names.get(&v.index()).copied().unwrap_or("x"), ty.clone())]
                }
                (op, Type::Tuple(_)) => b.results(op.clone(), &args),
                _ => vec![b.copy(e, &args)],
            };
            of.push(vars);
            // Calls of calls grow fast, so they are not put in place beyond what is shown.
            check_size(b.len())?;
        }
        let outputs: Vec<Var> = graph.outputs().iter().map(|o| of[o.index()][0]).collect();
        graph = b.finish(&outputs)?;
    }
    Ok(graph)
}

struct Walker<'a> {
    graph: &'a Graph,
    lines: Vec<Line>,
    /// The components of each variable's value.
    values: Vec<Vec<Array>>,
    /// The cotangent of each component, where one has arrived.
    cotangents: Vec<Vec<Option<Array>>>,
    steps: Vec<Step>,
    /// Values with more elements are shown by figures alone.
    most: usize,
}

impl<'a> Walker<'a> {
    fn new(graph: &'a Graph) -> Walker<'a> {
        let count = graph.equations().len();
        Walker {
            graph,
            lines: Listing::new(graph).lines(graph),
            values: vec![Vec::new(); count],
            cotangents: vec![Vec::new(); count],
            steps: Vec::new(),
            most: (MOST_NUMBERS / (6 * count.max(1))).min(Value::MOST_NUMBERS),
        }
    }

    fn show(&self, array: &Array) -> Value {
        Value::with_numbers(array, self.most)
    }

    fn named(&self, variables: impl Iterator<Item = (String, Var)>) -> Vec<Named> {
        let named = variables.map(|(name, v)| Named {
            name,
            value: self.first(v).map_or_else(Value::default, |a| self.show(a)),
        });
        named.collect()
    }

    fn first(&self, v: Var) -> Option<&Array> {
        self.values.get(v.index()).and_then(|parts| parts.first())
    }

    /// The node that stands for a variable: components of a tuple belong to the operation that made
    /// the tuple.
    fn node(&self, v: Var) -> u32 {
        match self.graph.equation(v) {
            Equation {
                op: Op::Get(_),
                args,
                ..
            } => args[0].index() as u32,
            _ => v.index() as u32,
        }
    }

    /// The name of a variable, or the constant itself.
    fn name(&self, v: Var) -> String {
        let name = &self.lines[v.index()].name;
        if name.is_empty() && self.graph.equation(v).op.is_constant() {
            return self
                .first(v)
                .and_then(|a| a.at(0))
                .map_or_else(String::new, |x| x.to_string());
        }
        name.clone()
    }

    fn operand(&self, v: Var) -> Operand {
        Operand {
            node: self.node(v),
            variable: self.name(v),
            value: self.first(v).map(|a| self.show(a)),
            ..Operand::default()
        }
    }

    /// Runs a graph; one that was met before is not compiled again.
    fn run(&self, graph: Graph, inputs: &[Array]) -> Result<Vec<Array>, ViewError> {
        Ok(cotangent_cpu::compile_shared(&Arc::new(graph))?.run(inputs)?)
    }

    fn forward(&mut self, inputs: &[Array]) -> Result<(), ViewError> {
        let graph = self.graph;
        let live = graph.live();
        if inputs.len() != graph.inputs().len() {
            return Err(ViewError::Inputs {
                expected: graph.inputs().len(),
                found: inputs.len(),
            });
        }
        for ((_, v), array) in graph.inputs().iter().zip(inputs) {
            self.values[v.index()] = vec![array.clone()];
        }
        for (v, e) in graph.iter() {
            if e.op.is_input() || !live[v.index()] {
                continue;
            }
            if let Op::Get(i) = e.op {
                let part = self.values[e.args[0].index()].get(i).cloned();
                self.values[v.index()] = part.into_iter().collect();
                continue;
            }
            let operands = self.operands(e);
            let parts = self.run(alone(e, &operands)?, &operands)?;
            self.values[v.index()] = parts;
            if e.op.is_constant() {
                continue;
            }
            let line = &self.lines[v.index()];
            let value = self.first(v).map_or_else(Value::default, |a| self.show(a));
            self.steps.push(Step {
                backward: false,
                node: v.index() as u32,
                variable: line.name.clone(),
                formula: format!("{} = {}", line.name, right_side(&line.text)),
                value,
                operands: e.args.iter().map(|a| self.operand(*a)).collect(),
            });
        }
        Ok(())
    }

    fn operands(&self, e: &Equation) -> Vec<Array> {
        e.args
            .iter()
            .filter_map(|a| self.first(*a).cloned())
            .collect()
    }

    fn backward(&mut self, wrt: &[bool]) -> Result<(), ViewError> {
        let graph = self.graph;
        let Some(&cost) = graph.outputs().first() else {
            return Ok(());
        };
        let Some(value) = self.first(cost).filter(|a| a.dtype().is_inexact()) else {
            return Ok(());
        };
        let one = Array::full(value.shape().clone(), Scalar::one(value.dtype()))?;
        let active = active(graph, wrt);
        self.add(cost, one)?;
        for (v, e) in graph.iter().rev() {
            if e.op.is_input() || e.op.is_constant() || !active[v.index()] {
                continue;
            }
            if let Op::Get(i) = e.op {
                let arrived = self.cotangents[v.index()].first().cloned().flatten();
                if let Some(array) = arrived {
                    self.add_part(e.args[0], i, array)?;
                }
                continue;
            }
            if self.cotangents[v.index()].iter().any(Option::is_some) {
                self.back(v, e, &active)?;
            }
        }
        Ok(())
    }

    /// One operation on the way back.
    fn back(&mut self, v: Var, e: &Equation, active: &[bool]) -> Result<(), ViewError> {
        let operands = self.operands(e);
        let chosen: Vec<bool> = (e.args.iter().zip(&operands))
            .map(|(a, array)| active[a.index()] && array.dtype().is_inexact())
            .collect();
        if !chosen.contains(&true) {
            return Ok(());
        }
        let pulled = cotangent_transform::vjp(&alone(e, &operands)?, &chosen)?;
        let parts = &self.values[v.index()];
        let arrived = &self.cotangents[v.index()];
        let cotangents: Vec<Array> = (parts.iter().enumerate())
            .filter(|(_, part)| part.dtype().is_inexact())
            .map(|(k, part)| match arrived.get(k).cloned().flatten() {
                Some(array) => Ok(array),
                None => Array::zeros(part.dtype(), part.shape().clone()),
            })
            .collect::<Result<_, _>>()?;
        let single = parts.len() == 1;
        let all: Vec<Array> = operands.iter().chain(&cotangents).cloned().collect();
        let products = self.run(pulled.clone(), &all)?;
        let jacobians = match &cotangents[..] {
            [one] if single => self.jacobians(&pulled, &operands, one, &products)?,
            _ => vec![None; products.len()],
        };
        let shown = arrived_first(&self.cotangents[v.index()]).map(|a| self.show(a));
        let documentation = e.op.documentation();
        let partials = partials(&e.op, documentation.derivative);
        let (mut of_operands, mut formula) = (Vec::new(), Vec::new());
        let mut products = products.into_iter().zip(jacobians);
        for (k, (&a, chosen)) in e.args.iter().zip(&chosen).enumerate() {
            let mut operand = self.operand(a);
            if *chosen && let Some((product, jacobian)) = products.next() {
                let met = self.cotangents[a.index()]
                    .first()
                    .is_some_and(Option::is_some);
                operand.jacobian = jacobian.map(|j| self.show(&j));
                operand.product = Some(self.show(&product));
                operand.partial = match partials.as_ref().and_then(|p| p.get(k)) {
                    Some(own) => own.clone(),
                    None => documentation.derivative.trim().to_owned(),
                };
                self.add(a, product)?;
                let sum = self.cotangents[a.index()].first().and_then(Option::as_ref);
                operand.sum = sum.filter(|_| met).map(|array| self.show(array));
                let sign = if met { "+=" } else { "=" };
                let (name, own) = (self.name(a), &self.lines[v.index()].name);
                formula.push(format!(
                    "ct_{name} {sign} (d{own}/d{name})\u{1d40} ct_{own}"
                ));
            }
            of_operands.push(operand);
        }
        self.steps.push(Step {
            backward: true,
            node: v.index() as u32,
            variable: self.lines[v.index()].name.clone(),
            formula: formula.join(", "),
            value: shown.unwrap_or_default(),
            operands: of_operands,
        });
        Ok(())
    }

    /// The matrices of local derivatives, one for each chosen operand, where they are small.
    fn jacobians(
        &self,
        pulled: &Graph,
        operands: &[Array],
        cotangent: &Array,
        products: &[Array],
    ) -> Result<Vec<Option<Array>>, ViewError> {
        let rows = cotangent.len();
        let small = |p: &Array| rows * p.len() <= MOST_ENTRIES && !p.dtype().is_complex();
        if rows == 0 || rows > MOST_ROWS || !products.iter().any(small) {
            return Ok(vec![None; products.len()]);
        }
        let mut entries: Vec<Vec<Scalar>> = vec![Vec::new(); products.len()];
        for row in 0..rows {
            let unit = (0..rows).map(|k| match k == row {
                true => Scalar::one(cotangent.dtype()),
                false => Scalar::zero(cotangent.dtype()),
            });
            let shape = cotangent.shape().clone();
            let unit = Array::from_scalars(cotangent.dtype(), shape, unit.collect::<Vec<_>>())?;
            let mut all = operands.to_vec();
            all.push(unit);
            for (entries, product) in entries.iter_mut().zip(self.run(pulled.clone(), &all)?) {
                entries.extend(product.scalars());
            }
        }
        let matrix = |(entries, product): (Vec<Scalar>, &Array)| {
            if !small(product) {
                return Ok(None);
            }
            Array::from_scalars(product.dtype(), [rows, product.len()], entries).map(Some)
        };
        let matrices = entries.into_iter().zip(products).map(matrix);
        Ok(matrices.collect::<Result<_, _>>()?)
    }

    fn add(&mut self, v: Var, array: Array) -> Result<(), ViewError> {
        self.add_part(v, 0, array)
    }

    /// Adds to the cotangent of a component.
    fn add_part(&mut self, v: Var, part: usize, array: Array) -> Result<(), ViewError> {
        let known = &mut self.cotangents[v.index()];
        if known.len() <= part {
            known.resize(part + 1, None);
        }
        let sum = match known[part].take() {
            None => array,
            Some(before) => {
                let ty = TensorType::new(before.dtype(), before.shape().clone());
                let mut b = Builder::new("sum");
                let (x, y) = (b.input("x", ty.clone()), b.input("y", ty));
                let sum = b.add(x, y);
                let mut sums = self.run(b.finish(&[sum])?, &[before, array])?;
                sums.pop().ok_or(ViewError::Inputs {
                    expected: 1,
                    found: 0,
                })?
            }
        };
        self.cotangents[v.index()][part] = Some(sum);
        Ok(())
    }

    /// Results and gradients, from the program of the whole function.
    fn finish(&mut self, walk: &mut Walk, inputs: &[Array], wrt: &[bool]) -> Result<(), ViewError> {
        let graph = self.graph;
        let differentiable = graph
            .outputs()
            .first()
            .is_some_and(|o| matches!(graph.ty(*o), Type::Tensor(ty) if ty.dtype.is_float()));
        let chosen: Vec<bool> = (graph.input_types().iter().enumerate())
            .map(|(i, ty)| wrt.get(i).copied().unwrap_or(false) && ty.dtype.is_inexact())
            .collect();
        let whole = match differentiable && chosen.contains(&true) {
            true => cotangent_transform::value_and_grad(&summed(graph)?, &chosen)?,
            false => graph.clone(),
        };
        let results = cotangent_cpu::compile(&whole)?.run(inputs)?;
        let of_graph = graph.outputs().len();
        // A summed output stands in front of the outputs themselves.
        let skipped = results.len().min(usize::from(
            whole.outputs().len() > of_graph && !is_scalar(graph),
        ));
        for (k, array) in results.iter().enumerate().skip(skipped) {
            let k = k - skipped;
            let gradient = k.checked_sub(of_graph);
            let name = match gradient {
                None if of_graph == 1 => graph.name().to_owned(),
                None => format!("{}[{k}]", graph.name()),
                Some(k) => {
                    let mut chosen = graph.inputs().iter().zip(&chosen).filter(|(_, c)| **c);
                    chosen
                        .nth(k)
                        .map_or_else(String::new, |((name, _), _)| name.to_string())
                }
            };
            let named = Named {
                name,
                value: self.show(array),
            };
            match gradient {
                None => walk.results.push(named),
                Some(_) => walk.gradients.push(named),
            }
        }
        Ok(())
    }
}

fn arrived_first(cotangents: &[Option<Array>]) -> Option<&Array> {
    cotangents.iter().flatten().next()
}

fn is_scalar(graph: &Graph) -> bool {
    let first = graph.outputs().first();
    first.is_some_and(|o| matches!(graph.ty(*o), Type::Tensor(ty) if ty.shape.is_scalar()))
}

/// The graph itself where its first output is a scalar; otherwise with the sum of that output in
/// front.
fn summed(graph: &Graph) -> Result<Graph, ViewError> {
    if is_scalar(graph) {
        return Ok(graph.clone());
    }
    let mut b = Builder::new(graph.name());
    let inputs: Vec<Var> = (graph.inputs().iter().zip(graph.input_types()))
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let mut outputs = b.inline(graph, &inputs);
    if let Some(first) = outputs.first().copied() {
        let axes: Vec<usize> = (0..b.rank(first)).collect();
        outputs.insert(0, b.sum(first, &axes));
    }
    Ok(b.finish(&outputs)?)
}

/// A graph of one operation, on operands of these types.
fn alone(e: &Equation, operands: &[Array]) -> Result<Graph, ViewError> {
    let mut b = Builder::new(e.op.name());
    let args: Vec<Var> = (operands.iter().enumerate())
        .map(|(k, array)| {
            let ty = TensorType::new(array.dtype(), array.shape().clone());
            b.input(&format!("x{k}"), ty)
        })
        .collect();
    let results = match &e.ty {
        Type::Tuple(_) => b.results(e.op.clone(), &args),
        Type::Tensor(_) => vec![b.push(e.op.clone(), &args)],
    };
    Ok(b.finish(&results)?)
}

/// The variables that depend on a chosen input.
fn active(graph: &Graph, wrt: &[bool]) -> Vec<bool> {
    let mut active = vec![false; graph.equations().len()];
    for ((_, v), chosen) in graph.inputs().iter().zip(wrt) {
        active[v.index()] = *chosen;
    }
    for (v, e) in graph.iter() {
        active[v.index()] |= e.args.iter().any(|a| active[a.index()]);
    }
    active
}

/// `tanh(v0)` of `let v1: f64 = tanh(v0);`.
fn right_side(text: &str) -> &str {
    let right = text.split_once(" = ").map_or(text, |(_, right)| right);
    right.strip_suffix(';').unwrap_or(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Graph {
        cotangent_graph::parse(text)
            .unwrap_or_else(|e| panic!("{}", e.render(text)))
            .entry()
            .clone()
    }

    /// Texts of the last cotangents of the inputs, as the steps show them.
    fn arrived(walk: &Walk, name: &str) -> Vec<String> {
        let mut back = walk
            .steps
            .iter()
            .filter(|s| s.backward)
            .flat_map(|s| &s.operands);
        let last = back.rfind(|o| o.variable == name && o.product.is_some());
        let last = last.unwrap_or_else(|| panic!("no cotangent of {name}"));
        last.sum
            .as_ref()
            .or(last.product.as_ref())
            .unwrap()
            .texts
            .clone()
    }

    /// What the command prints for the function and for its gradient.
    fn printed(graph: &Graph, inputs: &[Array]) -> Vec<Vec<String>> {
        let all = vec![true; inputs.len()];
        let whole = cotangent_transform::value_and_grad(graph, &all).unwrap();
        let results = cotangent_cpu::compile(&whole).unwrap().run(inputs).unwrap();
        let texts = results
            .iter()
            .map(|r| r.scalars().map(|x| x.to_string()).collect());
        texts.collect()
    }

    #[test]
    fn the_last_steps_give_what_the_program_gives() {
        let square = "fn g(w: f64) -> f64 { sin(w) * w }\nfn f(w: f64) -> f64 { g(g(g(w))) }";
        let network =
            "fn f(w: f64[2, 3], v: f64[2], x: f64[3]) -> f64 { (sum(v * tanh(w @ x)) - 1.0) ** 2 }";
        let examples: [(&str, Vec<Array>); 4] = [
            (square, vec![0.75.into()]),
            (
                "fn f(x: f64, y: f64) -> f64 { x * y + exp(x) / y }",
                vec![0.5.into(), 3.0.into()],
            ),
            (
                network,
                vec![
                    Array::from([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]]),
                    Array::from([1.5, -0.5]),
                    Array::from([1.0, 2.0, 3.0]),
                ],
            ),
            (
                "fn f(x: f64[4]) -> f64 { max(x) + sum(cumsum(x, axis=0) * x) }",
                vec![Array::from([3.0, 1.0, 2.0, 5.0])],
            ),
        ];
        for (text, inputs) in examples {
            let graph = parsed(text);
            let (walk, inlined) = walk(&graph, &inputs, &vec![true; inputs.len()]).unwrap();
            let expected = printed(&graph, &inputs);
            let shown: Vec<Vec<String>> = (walk.results.iter().chain(&walk.gradients))
                .map(|n| n.value.texts.clone())
                .collect();
            assert_eq!(shown, expected, "{text}");
            let forward = walk.steps.iter().rfind(|s| !s.backward).unwrap();
            assert_eq!(forward.value.texts, expected[0], "{text}");
            for ((name, _), gradient) in inlined.inputs().iter().zip(&expected[1..]) {
                assert_eq!(&arrived(&walk, name), gradient, "{text}: {name}");
            }
        }
    }

    #[test]
    fn cotangents_are_local_derivatives_times_what_arrives() {
        let graph = parsed("fn f(w: f64[2, 3], x: f64[3]) -> f64 { sum(exp(w @ x)) }");
        let inputs = [
            Array::from([[0.1, 0.2, 0.3], [-0.1, 0.0, 0.4]]),
            Array::from([1.0, 2.0, 3.0]),
        ];
        let (walk, _) = walk(&graph, &inputs, &[true, true]).unwrap();
        let numbers = |v: &Value| -> Vec<f64> { v.numbers.iter().map(|x| x.unwrap()).collect() };
        let mut seen = 0;
        for step in walk.steps.iter().filter(|s| s.backward) {
            let arrived = numbers(&step.value);
            for operand in &step.operands {
                let (Some(jacobian), Some(product)) = (&operand.jacobian, &operand.product) else {
                    continue;
                };
                let (j, p) = (numbers(jacobian), numbers(product));
                for (column, p) in p.iter().enumerate() {
                    let terms = arrived
                        .iter()
                        .enumerate()
                        .map(|(r, ct)| ct * j[r * jacobian.shape[1] + column]);
                    assert!((terms.sum::<f64>() - p).abs() < 1e-12);
                }
                seen += 1;
            }
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn sums_where_paths_meet_and_results_that_are_no_scalars() {
        let graph = parsed("fn f(x: f64[2]) -> f64[2] { x * x + sin(x) }");
        let (walk, _) = super::walk(&graph, &[Array::from([0.0, 1.0])], &[true]).unwrap();
        let mut sums = walk
            .steps
            .iter()
            .flat_map(|s| &s.operands)
            .filter(|o| o.sum.is_some());
        // x * x + sin(x): 2 x + cos(x), first from one factor, then the other, then the sine.
        let last = sums.next_back().unwrap().sum.as_ref().unwrap();
        assert_eq!(last.texts, walk.gradients[0].value.texts);
        assert_eq!(walk.results[0].value.texts.len(), 2);
        assert_eq!(walk.gradients[0].value.texts[0], "1.0");
    }

    #[test]
    fn loops_and_what_has_no_derivative_are_walked_over() {
        let text = "
            fn body(c: f64, x: f64) -> (f64, f64) { (sin(c) + x, c) }
            fn f(x: f64[3]) -> f64 { let r = scan(0.5, x, body=body, carry=1, scanned=1); get(r, index=0) + sum(get(r, index=1)) }";
        let graph = parsed(text);
        let inputs = [Array::from([1.0, 2.0, 3.0])];
        let (walk, _) = super::walk(&graph, &inputs, &[true]).unwrap();
        let expected = printed(&graph, &inputs);
        assert_eq!(walk.gradients[0].value.texts, expected[1]);
        assert_eq!(arrived(&walk, "x"), expected[1]);
        let graph = parsed("fn f(i: i64[2]) -> i64 { sum(i * i) }");
        let (walk, _) = super::walk(&graph, &[Array::from([1_i64, 2])], &[false]).unwrap();
        assert_eq!(walk.results[0].value.texts, ["5"]);
        assert!(walk.gradients.is_empty());
        let graph = parsed("fn f(x: f64) -> f64 { x + 1.0 }");
        assert!(super::walk(&graph, &[], &[true]).is_err());
    }
}
