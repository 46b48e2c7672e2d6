//! What a page shows, as plain data. The page's script reads exactly this, as JSON.
//!
//! Numbers that are not finite become `null` in JSON; a [`Value`] therefore also carries small
//! arrays as text, digit for digit as the command prints them.

use serde::{Deserialize, Serialize};

/// One page. A view whose data is empty or missing is not offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// One line below the heading: what is shown and where it comes from.
    pub about: String,
    /// Graphs; the first is shown first.
    pub pictures: Vec<Picture>,
    /// Computations to be stepped through.
    pub walks: Vec<Walk>,
    /// The compiler's passes, in the order they ran.
    pub passes: Vec<Pass>,
    /// What stands where in memory, and when.
    pub memory: Option<Memory>,
    /// Where time goes.
    pub cost: Option<Cost>,
    /// How a training went.
    pub training: Option<Training>,
    /// The path of a value that is not finite.
    pub trouble: Option<Trouble>,
    /// Where the page comes from a server that answers questions: what it can be asked.
    #[serde(default)]
    pub live: Option<Live>,
}

/// A graph with places for everything. `groups[0]` is the whole graph; the others are scopes,
/// callees, bodies of loops and arms, each laid out by itself.
///
/// Every group is laid out with its child groups folded to small boxes. Boxes stand in ranks: those
/// of a rank have the same centre vertically. Corners of arrows other than the two ends stand at the
/// upper or lower border of a rank. To unfold a child, space is inserted around its box: what stands
/// in its rank moves right or left by half of what it grows in width, and what is below or above the
/// rank moves down or up by half of what the rank grows in height. Ends of arrows move with their
/// boxes. The order of things does not change, and nothing overlaps. (To insert the space across the
/// whole group instead of one rank is right too, and takes more of it.)
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The name of the function.
    pub name: String,
    /// All groups; a parent stands before its children.
    pub groups: Vec<Group>,
}

/// What is inside of one box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The name of the scope or function.
    pub label: String,
    /// What the box stands for: `graph`, `scope`, `call`, `loop`, `branch` or `rule`.
    pub kind: String,
    /// The group that this one is inside of.
    pub parent: Option<usize>,
    /// Whether all that is inside belongs to a derivative.
    #[serde(default)]
    pub in_derivative: bool,
    /// Whether it is unfolded at first.
    pub open: bool,
    /// The size of what is inside, margins included.
    pub width: f64,
    /// The size of what is inside, margins included.
    pub height: f64,
    /// What stands inside.
    pub nodes: Vec<Node>,
    /// What leads from one to another.
    pub edges: Vec<Edge>,
}

/// One box of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// A number of its own within the picture.
    pub id: u32,
    /// `input`, `constant`, `op`, `output`, or `group`: a box that can be unfolded.
    pub kind: String,
    /// For `group`: which one, in [`Picture::groups`].
    pub group: Option<usize>,
    /// What is written in the box.
    pub label: String,
    /// The variable as the canonical text names it: `v3`, or the name of an input.
    pub variable: String,
    /// The name of the operation.
    pub op: String,
    /// What colours it: `input`, `constant`, `output`, `pointwise`, `product`, `reduction`, `move`,
    /// `linalg`, `random`, `control` or `group`.
    #[serde(default)]
    pub family: String,
    /// Whether it belongs to a derivative.
    #[serde(default)]
    pub in_derivative: bool,
    /// The type of the result: `f64[2, 3]`.
    #[serde(rename = "type")]
    pub ty: String,
    /// The size of the result.
    pub bytes: u64,
    /// How many arithmetic operations it takes.
    pub operations: u64,
    /// File, line and column in the user's source.
    pub place: Option<String>,
    /// The equation in the canonical text.
    pub text: String,
    /// What the operation does, in a sentence.
    pub about: String,
    /// Its derivative in words and formulas, a line for each operand.
    pub derivative: Vec<String>,
    /// Its convention at kinks and at the border of its domain, if there is any.
    pub kinks: String,
    /// The centre of the box.
    pub x: f64,
    /// The centre of the box.
    pub y: f64,
    /// The size of the box, folded.
    pub width: f64,
    /// The size of the box, folded.
    pub height: f64,
}

/// An arrow between two boxes of the same group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it begins: a position in [`Group::nodes`].
    pub from: usize,
    /// Where it ends: a position in [`Group::nodes`].
    pub to: usize,
    /// The type of what goes along it.
    pub label: String,
    /// The corners of the line, from the border of one box to that of the other.
    pub points: Vec<[f64; 2]>,
}

/// An array, as much of it as can be looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Its type: `f64[2, 3]`.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// All elements in row-major order as the command prints them, where there are at most
    /// [`Value::MOST_TEXTS`]; otherwise empty.
    pub texts: Vec<String>,
    /// All elements in row-major order, where there are at most [`Value::MOST_NUMBERS`]; otherwise
    /// empty. Booleans are 0 and 1, complex numbers their absolute values.
    pub numbers: Vec<Option<f64>>,
    /// Figures over all elements.
    pub statistics: Statistics,
}

impl Value {
    /// Up to this many elements are written out.
    pub const MOST_TEXTS: usize = 64;
    /// Up to this many elements are drawn.
    pub const MOST_NUMBERS: usize = 4096;
}

/// Figures over the elements of an array. Only finite elements count, but for the last two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many elements there are, finite or not.
    pub count: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation.
    pub deviation: Option<f64>,
    /// The Euclidean norm.
    pub norm: Option<f64>,
    /// How many are zero.
    pub zeros: u64,
    /// How many are NaN.
    pub nan: u64,
    /// How many are infinite.
    pub infinite: u64,
    /// How many fall into each of equal parts of the range from `min` to `max`.
    pub histogram: Vec<u64>,
}

/// A computation forward, one operation at a time, and then backward.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// What it is called in the list of walks.
    pub name: String,
    /// Which of [`Page::pictures`] it walks through.
    pub picture: usize,
    /// The inputs: names and values.
    pub inputs: Vec<Named>,
    /// All steps: forward ones first.
    pub steps: Vec<Step>,
    /// What the function gives.
    pub results: Vec<Named>,
    /// The derivative of the (first) result with respect to each differentiated input.
    pub gradients: Vec<Named>,
}

/// A value with its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// One operation of a walk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Whether this is the way back.
    pub backward: bool,
    /// [`Node::id`] of the operation.
    pub node: u32,
    /// The variable that the operation defines.
    pub variable: String,
    /// What happens in one line: `v1 = tanh(v0)`, or on the way back which cotangents are had from
    /// which.
    pub formula: String,
    /// Forward: the result. Backward: the cotangent that arrives at the result.
    pub value: Value,
    /// The operands, in order.
    pub operands: Vec<Operand>,
}

/// One operand of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operand {
    /// [`Node::id`] of the variable.
    pub node: u32,
    /// The name of the variable.
    pub variable: String,
    /// Its value (forward).
    pub value: Option<Value>,
    /// Backward: the local derivative of the result with respect to this operand, a matrix with a
    /// row for each element of the result and a column for each of the operand; only where small.
    pub jacobian: Option<Value>,
    /// Backward: the local derivative as a formula.
    pub partial: String,
    /// Backward: what this step adds to the cotangent of the operand.
    pub product: Option<Value>,
    /// Backward: the cotangent of the operand after this step, where paths meet: the sum so far.
    pub sum: Option<Value>,
}

/// One pass of the compiler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Its name.
    pub name: String,
    /// What it does, in a sentence.
    pub about: String,
    /// How many equations the graph has after it.
    pub equations: usize,
    /// How many arithmetic operations the graph takes after it.
    pub operations: u64,
    /// The graph after it, line by line, beside the graph before it.
    pub lines: Vec<Line>,
    /// Which of [`Page::pictures`] is the graph after it.
    pub picture: Option<usize>,
}

/// A line of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// `same`, `added` or `removed`.
    pub kind: String,
    /// The line itself.
    pub text: String,
}

/// The memory of a plan over its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The bytes of the arena.
    pub arena: u64,
    /// All bytes that a run holds: arena, inputs, constants and results.
    pub total: u64,
    /// The bytes that were allowed.
    pub budget: Option<u64>,
    /// The steps of the plan, in order.
    pub steps: Vec<PlanStep>,
    /// What lies in the arena, and how long.
    pub blocks: Vec<Block>,
    /// Memory against time, from the smallest budget to none.
    pub curve: Vec<CurvePoint>,
}

/// A step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What it does.
    pub label: String,
    /// Whether it ran before and runs again to save memory.
    pub again: bool,
}

/// A value in the arena.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The name of the value.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The step that writes it.
    pub from: usize,
    /// The last step that reads it.
    pub to: usize,
    /// `kept` (read again after other steps), `short` (read by the next steps), `again` (computed
    /// again), `scratch`, `state` (of a loop) or `result`.
    pub kind: String,
}

/// A point of the curve of time against memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// All bytes that a run holds.
    pub bytes: u64,
    /// The expected time as a multiple of the time without a budget.
    pub time: f64,
}

/// Where time goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The machine's name.
    pub machine: String,
    /// Arithmetic operations a second at most, as measured on this machine.
    pub peak_operations: f64,
    /// Bytes a second from main memory at most, as measured on this machine.
    pub peak_bytes: f64,
    /// Seconds of a whole run.
    pub seconds: f64,
    /// How many runs were measured.
    pub runs: usize,
    /// The steps, in order.
    pub steps: Vec<CostStep>,
}

/// What a step costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostStep {
    /// What it does.
    pub label: String,
    /// What kind of step it is: region, dot, loop, ...
    pub kind: String,
    /// Arithmetic operations.
    pub operations: u64,
    /// Bytes read and written.
    pub bytes: u64,
    /// Seconds of one run, the median of the measured ones.
    pub seconds: f64,
    /// Where in the user's source it comes from.
    pub place: Option<String>,
}

/// How a training went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The whole configuration, the seed among it: names and values.
    pub configuration: Vec<[String; 2]>,
    /// What the accuracy is called; empty where there is none (a regression).
    pub metric: String,
    /// One entry for each epoch.
    pub epochs: Vec<Epoch>,
    /// One entry for each array of parameters.
    pub layers: Vec<Layer>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Rows are true classes, columns are answers, over the rows held out.
    pub confusion: Vec<Vec<u64>>,
    /// The examples with the largest losses, the worst first.
    pub worst: Vec<Example>,
    /// Closing figures: names and values.
    pub summary: Vec<[String; 2]>,
}

/// One epoch of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts from 1.
    pub number: u64,
    /// Mean loss over the rows trained on.
    pub loss: Option<f64>,
    /// Mean loss over the rows of validation.
    pub validation_loss: Option<f64>,
    /// The metric over the rows trained on.
    pub metric: Option<f64>,
    /// The metric over the rows of validation.
    pub validation_metric: Option<f64>,
    /// The learning rate at its end.
    pub rate: Option<f64>,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// One array of parameters over a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The name of the parameter.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The norm of its gradient, one number for each epoch (the last batch).
    pub gradient_norm: Vec<Option<f64>>,
    /// The norm of its last update over its own norm, one number for each epoch.
    pub update_ratio: Vec<Option<f64>>,
    /// The parameters at the end.
    pub weights: Statistics,
    /// The last gradient.
    pub gradient: Statistics,
}

/// An example that the model answered badly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its row in the table.
    pub row: usize,
    /// What it is.
    pub truth: String,
    /// What the model answered.
    pub answer: String,
    /// How sure the model was of its answer, from 0 to 1.
    pub probability: Option<f64>,
    /// Its loss.
    pub loss: Option<f64>,
    /// Rows of pixels from 0 (light) to 1 (dark), if the inputs are a picture.
    pub pixels: Vec<Vec<f64>>,
    /// The inputs by name, if they are few and no picture.
    pub inputs: Vec<[String; 2]>,
}

/// The way of the first value that is not finite to the result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// What went wrong, in one line.
    pub message: String,
    /// From the operation whose operands were finite and whose result is not, to the result.
    pub path: Vec<Hop>,
}

/// One operation on the way of a value that is not finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// The equation in the canonical text.
    pub text: String,
    /// File, line and column in the user's source.
    pub place: Option<String>,
    /// That line of the source, if it could be read.
    pub source: Option<String>,
    /// The operands.
    pub operands: Vec<Named>,
    /// The result.
    pub value: Value,
}

/// What a live page can ask of its server, and what it asked last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Goes back with every question, in the header `x-token`.
    pub token: String,
    /// The text of the function that is shown.
    pub text: String,
    /// The inputs that the text has, with the values that were used.
    pub inputs: Vec<LiveInput>,
    /// The names of the inputs that are differentiated with respect to.
    pub wrt: Vec<String>,
    /// The mode that is shown: the name of one of [`Live::modes`].
    pub mode: String,
    /// What can be asked for.
    pub modes: Vec<LiveMode>,
    /// The derivative as canonical text; empty where there is none.
    pub derivative: String,
    /// Functions to begin with, one click away.
    pub examples: Vec<LiveExample>,
    /// The longest that an answer may take, in seconds; 0 if that is not limited.
    pub seconds: f64,
    /// The most memory that an answer may take, in bytes; 0 if that is not limited.
    pub bytes: u64,
    /// The longest text, in characters; 0 if that is not limited.
    pub characters: usize,
}

/// An input of a live page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveInput {
    /// Its name.
    pub name: String,
    /// Its type: `f64[2, 3]`. Empty in a [`Question`].
    #[serde(rename = "type", default)]
    pub ty: String,
    /// Its value, as it is typed.
    pub text: String,
}

/// Something that a live page can ask for: the gradient, the function alone, ...
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveMode {
    /// Its name, as it goes into [`Question::mode`].
    pub name: String,
    /// What it gives, in a few words.
    pub about: String,
}

/// A function to begin with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveExample {
    /// What is written on its button.
    pub name: String,
    /// The text of the function.
    pub text: String,
}

/// What a live page asks of its server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The text of the function, as it is typed.
    pub text: String,
    /// The inputs that the page knows of, as they are typed. A function that was just changed may
    /// have others; a value that is missing is the server's to choose.
    pub inputs: Vec<LiveInput>,
    /// The names of the inputs to differentiate with respect to; none means all that can be.
    pub wrt: Vec<String>,
    /// The name of one of [`Live::modes`].
    pub mode: String,
}

/// The answer to a question that cannot be answered with a [`Page`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub error: Fault,
}

/// What is wrong with a question, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What was expected and what was found.
    pub message: String,
    /// The line of the text, from 1.
    pub line: Option<usize>,
    /// The character within the line, from 1.
    pub column: Option<usize>,
    /// The name of the input whose value is wrong.
    pub input: Option<String>,
}
