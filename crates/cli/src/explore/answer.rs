//! What a page shows of a function that was typed.

use std::time::Duration;

use clap::ValueEnum as _;
use cotangent::checked::{self, CheckedError};
use cotangent_array::{Array, Scalar};
use cotangent_graph::{Graph, Location, Module, TensorType};
use cotangent_view::model::{
    Fault, Live, LiveExample, LiveInput, LiveMode, Named, Page, Question, Value,
};
use cotangent_view::{EXAMPLES, Study};

use crate::derive::{Mode, transformed};
use crate::failure::Failure;
use crate::graphs;
use crate::values;

/// The longest text, in characters.
const MOST_CHARACTERS: usize = 100_000;
/// The most elements that all inputs may have together.
const MOST_ELEMENTS: usize = 1 << 20;
/// Values with more elements are written as a rule rather than in full.
const MOST_WRITTEN: usize = 64;

/// What the page offers.
const MODES: [(Mode, &str); 6] = [
    (Mode::Grad, "the gradient of a scalar"),
    (
        Mode::ValueAndGrad,
        "a scalar and its gradient, as one function",
    ),
    (Mode::Jvp, "the directional derivative"),
    (Mode::Vjp, "cotangents of the inputs from one of the result"),
    (Mode::Jacobian, "all derivatives of all results"),
    (Mode::Hessian, "the second derivatives of a scalar"),
];

/// What one answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest time.
    pub time: Duration,
    /// The most memory.
    pub bytes: usize,
}

impl Limits {
    /// Holds this process to the limits, where the system can: it ends when it takes more.
    pub fn apply(&self) -> Result<(), Failure> {
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            // A limit that is there already may be lowered, never raised.
            let limit = |resource: Resource, most: u64| {
                let known = getrlimit(resource);
                let most = [known.current, known.maximum]
                    .into_iter()
                    .flatten()
                    .fold(most, u64::min);
                let limit = Rlimit {
                    current: Some(most),
                    maximum: Some(most),
                };
                setrlimit(resource, limit)
            };
            // Of the address space some is taken by the program itself, not by the answer.
            let bytes = (self.bytes as u64).saturating_add(OWN_BYTES);
            limit(Resource::As, bytes)?;
            limit(Resource::Cpu, self.time.as_secs().saturating_add(1))?;
        }
        Ok(())
    }

    /// What the page says of them, and what it can ask for.
    pub fn live(&self) -> Live {
        Live {
            modes: (MODES.iter())
                .map(|(mode, about)| LiveMode {
                    name: name(*mode),
                    about: (*about).to_owned(),
                })
                .collect(),
            examples: (EXAMPLES.iter())
                .map(|(name, text)| LiveExample {
                    name: (*name).to_owned(),
                    text: (*text).to_owned(),
                })
                .collect(),
            seconds: self.time.as_secs_f64(),
            bytes: self.bytes as u64,
            characters: MOST_CHARACTERS,
            ..Live::default()
        }
    }
}

/// Address space of the program itself.
#[cfg(unix)]
const OWN_BYTES: u64 = 256 << 20;

/// A page about the last function of the text.
///
/// # Errors
/// What is wrong with the text, with a value of an input, or with what was asked for.
pub fn page(question: &Question, limits: &Limits) -> Result<Page, Fault> {
    if question.text.chars().count() > MOST_CHARACTERS {
        return Err(fault(format!(
            "expected at most {MOST_CHARACTERS} characters"
        )));
    }
    let module = cotangent_graph::parse(&question.text).map_err(|error| Fault {
        message: error.message,
        line: Some(error.line as usize),
        column: Some(error.column as usize),
        input: None,
    })?;
    let graph = module.entry();
    let inputs = inputs(graph, question)?;
    let wrt = chosen(graph, question);
    let derivative = match &question.mode[..] {
        "" => default_derivative(graph, &wrt)?,
        asked => match MODES.iter().find(|(mode, _)| name(*mode) == asked) {
            Some((mode, _)) => Some((*mode, derived(graph, *mode, &wrt)?)),
            None => return Err(fault(format!("no mode is named `{asked}`"))),
        },
    };
    let source = |location: Location| graphs::line(&question.text, location);
    let trouble = match checked::eval(graph, &inputs) {
        Err(CheckedError::Fault(fault)) => Some(fault.to_string()),
        Err(other) => return Err(fault(other)),
        Ok(_) => None,
    };
    let study = Study {
        about: "Type a function; everything below follows.".to_owned(),
        inputs: Some(&inputs),
        wrt: Some(&wrt),
        derivative: derivative.as_ref().map(|(_, graph)| graph),
        trouble,
        ..Study::default()
    };
    let mut page = study.page(graph, &source).map_err(fault)?;
    let mut live = limits.live();
    live.text = question.text.clone();
    live.inputs = (graph.inputs().iter().zip(graph.input_types()).zip(&inputs))
        .map(|(((name, _), ty), array)| LiveInput {
            name: name.to_string(),
            ty: ty.to_string(),
            text: typed(question, name).unwrap_or_else(|| written(array)),
        })
        .collect();
    live.wrt = (graph.inputs().iter().zip(&wrt))
        .filter(|(_, chosen)| **chosen)
        .map(|((name, _), _)| name.to_string())
        .collect();
    if let Some((mode, derived)) = &derivative {
        live.mode = name(*mode);
        live.derivative = text_of(&module, derived);
        let shown = results(graph, derived, *mode, &inputs, &wrt)?;
        if let Some(walk) = page.walks.first_mut().filter(|_| !shown.is_empty()) {
            walk.gradients = shown;
        }
    }
    page.live = Some(live);
    Ok(page)
}

/// The gradient, or of what is no scalar the Jacobian, where something can be differentiated.
fn default_derivative(graph: &Graph, wrt: &[bool]) -> Result<Option<(Mode, Graph)>, Fault> {
    if !wrt.contains(&true) {
        return Ok(None);
    }
    let found = [Mode::Grad, Mode::Jacobian].into_iter().find_map(|mode| {
        let derived = transformed(graph, mode, wrt).ok()?;
        Some((
            mode,
            derived.renamed(&format!("{}_{}", graph.name(), name(mode))),
        ))
    });
    Ok(found)
}

fn derived(graph: &Graph, mode: Mode, wrt: &[bool]) -> Result<Graph, Fault> {
    let derived = transformed(graph, mode, wrt).map_err(fault)?;
    Ok(derived.renamed(&format!("{}_{}", graph.name(), name(mode))))
}

/// The derivative's values at the inputs; directions and cotangents are ones.
fn results(
    graph: &Graph,
    derived: &Graph,
    mode: Mode,
    inputs: &[Array],
    wrt: &[bool],
) -> Result<Vec<Named>, Fault> {
    let mut all = inputs.to_vec();
    for ty in derived.input_types().iter().skip(inputs.len()) {
        let ones = Array::full(ty.shape.clone(), Scalar::one(ty.dtype)).map_err(fault)?;
        all.push(ones);
    }
    let program = cotangent_cpu::compile(derived).map_err(fault)?;
    let arrays = program.run(&all).map_err(fault)?;
    let names: Vec<&str> = (graph.inputs().iter().zip(wrt))
        .filter(|(_, chosen)| **chosen)
        .map(|((name, _), _)| &**name)
        .collect();
    // The value stands first where the mode gives it, and is shown as the function's result.
    let skipped = match mode {
        Mode::ValueAndGrad | Mode::Jvp => graph.outputs().len(),
        _ => 0,
    };
    let count = arrays.len() - skipped.min(arrays.len());
    let named = arrays
        .iter()
        .skip(skipped)
        .enumerate()
        .map(|(k, array)| Named {
            name: match mode {
                Mode::Jvp => format!("along ones: {}", graph.name()),
                _ if count == names.len() => {
                    names.get(k).map_or_else(String::new, |n| (*n).to_owned())
                }
                _ => format!("{}[{k}]", derived.name()),
            },
            value: Value::of(array),
        });
    Ok(named.collect())
}

/// All functions of the text, and the derivative last.
fn text_of(module: &Module, derived: &Graph) -> String {
    let mut functions = module.functions.clone();
    functions.push(derived.clone().into());
    let module = Module::from_graphs(functions);
    module.map(|m| m.print()).unwrap_or_default()
}

fn inputs(graph: &Graph, question: &Question) -> Result<Vec<Array>, Fault> {
    let types = graph.input_types();
    let elements = types
        .iter()
        .fold(0_usize, |sum, ty| sum.saturating_add(ty.shape.elements()));
    if elements > MOST_ELEMENTS {
        return Err(fault(format!(
            "expected inputs of at most {MOST_ELEMENTS} elements together, found {elements}"
        )));
    }
    let value = |(name, ty): (&str, &TensorType)| match typed(question, name) {
        None => Ok(cotangent_view::sample(ty)),
        Some(text) => values::parse(&text, ty).map_err(|message| Fault {
            message,
            input: Some(name.to_owned()),
            ..Fault::default()
        }),
    };
    let names = graph.inputs().iter().map(|(name, _)| &**name);
    names.zip(&types).map(value).collect()
}

/// What was typed for an input, if it was.
fn typed(question: &Question, name: &str) -> Option<String> {
    let found = question.inputs.iter().find(|input| input.name == name)?;
    let text = found.text.trim();
    (!text.is_empty() && !text.starts_with("...")).then(|| text.to_owned())
}

/// A value as one types it.
fn written(array: &Array) -> String {
    match array.len() <= MOST_WRITTEN {
        true => array
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        false => format!("... {} elements", array.len()),
    }
}

/// The inputs that were ticked, or all that can be differentiated.
fn chosen(graph: &Graph, question: &Question) -> Vec<bool> {
    let ticked = |name: &str| question.wrt.iter().any(|wrt| wrt == name);
    let any = graph.inputs().iter().any(|(name, _)| ticked(name));
    (graph.inputs().iter().zip(graph.input_types()))
        .map(|((name, _), ty)| ty.dtype.is_inexact() && (!any || ticked(name)))
        .collect()
}

fn name(mode: Mode) -> String {
    let value = mode.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn fault(message: impl ToString) -> Fault {
    Fault {
        message: message.to_string(),
        ..Fault::default()
    }
}
