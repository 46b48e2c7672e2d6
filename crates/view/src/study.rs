//! All that there is to see of one function, as a page.

use cotangent_array::Array;
use cotangent_compile::{Options, curve};
use cotangent_graph::{Graph, Location, Type, parse};

use crate::model::{Page, Pass, Picture, Walk};
use crate::{EXAMPLES, ViewError, cost, memory, passes, picture_with, sample, trouble, walk};

/// How a function is looked at.
#[derive(Clone, Debug, Default)]
pub struct Study<'a> {
    /// The heading of the page; the name of the function if empty.
    pub title: String,
    /// One line below it.
    pub about: String,
    /// How places in the text of the function are called: the name of its file.
    pub source: Option<&'a str>,
    /// Values for the inputs; numbers that are easy to read where there are none.
    pub inputs: Option<&'a [Array]>,
    /// The inputs that are differentiated; all floats if not said.
    pub wrt: Option<&'a [bool]>,
    /// The derivative whose graph, passes, memory and cost are shown; value and gradient if not said, where the
    /// function has one.
    pub derivative: Option<&'a Graph>,
    /// How the function is compiled.
    pub options: Options,
    /// How many budgets the curve of memory against time has; without any, there is no curve.
    pub curve_points: usize,
    /// Whether two examples can be stepped through as well: a repeated sub-expression and a network.
    pub examples: bool,
    /// Whether steps are measured.
    pub measure: bool,
    /// What went wrong, where something did: the message of a checked run.
    pub trouble: Option<String>,
}

/// Pictures of graphs with more operations are left out: they would not be looked at.
const MOST_DRAWN: usize = 20_000;
/// Pictures after each pass are drawn of graphs up to this size.
const MOST_DRAWN_BY_PASS: usize = 2000;

impl Study<'_> {
    /// Everything about a function: its graph and that of its gradient, the walk forward and backward,
    /// what each pass does, memory, cost, and the way of a value that is not finite. Passes, memory
    /// and cost are those of value and gradient where the function has one.
    ///
    /// # Errors
    /// Inputs that do not fit, a function that cannot be compiled or run.
    pub fn page(
        &self,
        graph: &Graph,
        source: &dyn Fn(Location) -> Option<String>,
    ) -> Result<Page, ViewError> {
        let types = graph.input_types();
        let samples: Vec<Array>;
        let inputs = match self.inputs {
            Some(inputs) => inputs,
            None => {
                samples = types.iter().map(sample).collect();
                &samples
            }
        };
        let chosen: Vec<bool> = (types.iter().enumerate())
            .map(|(i, ty)| {
                ty.dtype.is_inexact() && self.wrt.is_none_or(|w| w.get(i) == Some(&true))
            })
            .collect();
        let mut page = Page {
            title: match self.title.is_empty() {
                true => graph.name().to_owned(),
                false => self.title.clone(),
            },
            about: self.about.clone(),
            ..Page::default()
        };
        let derivative = match self.derivative {
            Some(derivative) => Some(derivative.clone()),
            None if is_cost(graph) && chosen.contains(&true) => {
                let both = cotangent_transform::value_and_grad(graph, &chosen)?;
                Some(both.renamed(&format!("{} with its gradient", graph.name())))
            }
            None => None,
        };
        self.draw(&mut page, graph, "");
        if let Some(derivative) = &derivative {
            self.draw(&mut page, derivative, "");
        }
        if let Some(message) = &self.trouble {
            page.trouble = trouble(graph, inputs, message, source)?;
        }
        match self.walked(&mut page.pictures, graph, inputs, &chosen) {
            // A function that is too large to be walked through has everything else.
            Err(ViewError::TooLarge { .. }) => {}
            walked => page.walks.push(walked?),
        }
        if self.examples {
            for (name, text) in &EXAMPLES[..2] {
                let graph = parse(text)?.entry().renamed(name);
                let types = graph.input_types();
                let inputs: Vec<Array> = types.iter().map(sample).collect();
                let all = vec![true; inputs.len()];
                let walked = self.walked(&mut page.pictures, &graph, &inputs, &all)?;
                page.walks.push(walked);
            }
        }
        let whole = derivative.as_ref().unwrap_or(graph);
        page.passes = self.passes(&mut page.pictures, whole)?;
        let program = cotangent_cpu::compile_with(whole, &self.options)?;
        let points = match self.curve_points {
            0 => Vec::new(),
            n => curve(whole, &cotangent_cpu::target(), n, &self.options)?,
        };
        let budget = self.options.memory_budget.map(|b| b as u64);
        page.memory = Some(memory(program.plan(), budget, &points));
        // A derivative may have inputs of its own, which nobody has given values for.
        let types = whole.input_types();
        let more = types.iter().skip(inputs.len()).map(sample);
        let all: Vec<Array> = inputs.iter().cloned().chain(more).collect();
        if self.measure {
            page.cost = Some(cost(&program, &all)?);
        }
        Ok(page)
    }

    /// A walk, with its picture behind the others.
    fn walked(
        &self,
        pictures: &mut Vec<Picture>,
        graph: &Graph,
        inputs: &[Array],
        wrt: &[bool],
    ) -> Result<Walk, ViewError> {
        let (mut walked, inlined) = walk(graph, inputs, wrt)?;
        // Equal graphs may number their variables otherwise, but one without calls is walked as it is.
        let known = pictures.iter().position(|p| p.name == graph.name());
        walked.picture = match known.filter(|_| inlined == *graph) {
            Some(number) => number,
            None => {
                pictures.push(Picture {
                    name: format!("{}, step by step", graph.name()),
                    ..self.picture(&inlined)
                });
                pictures.len() - 1
            }
        };
        Ok(walked)
    }

    fn picture(&self, graph: &Graph) -> Picture {
        let options = crate::Options {
            source: self.source,
        };
        picture_with(graph, &options)
    }

    fn draw(&self, page: &mut Page, graph: &Graph, what: &str) {
        if graph.equations().len() <= MOST_DRAWN {
            page.pictures.push(Picture {
                name: format!("{}{what}", graph.name()),
                ..self.picture(graph)
            });
        }
    }

    fn passes(&self, pictures: &mut Vec<Picture>, graph: &Graph) -> Result<Vec<Pass>, ViewError> {
        let (mut passes, graphs) = passes(graph)?;
        let mut last: Option<(&Graph, usize)> = None;
        for (pass, graph) in passes.iter_mut().zip(&graphs) {
            if graph.equations().len() > MOST_DRAWN_BY_PASS {
                continue;
            }
            // A pass that changes nothing has the picture of the pass before.
            let number = match last {
                Some((known, number)) if known == graph => number,
                _ => {
                    pictures.push(Picture {
                        name: format!("{} after {}", graph.name(), pass.name),
                        ..self.picture(graph)
                    });
                    pictures.len() - 1
                }
            };
            pass.picture = Some(number);
            last = Some((graph, number));
        }
        Ok(passes)
    }
}

/// Whether the function gives one float scalar, which has a gradient.
fn is_cost(graph: &Graph) -> bool {
    let [one] = graph.outputs() else { return false };
    matches!(graph.ty(*one), Type::Tensor(ty) if ty.dtype.is_float() && ty.shape.is_scalar())
}
