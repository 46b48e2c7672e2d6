//! The network, and the functions that train and score it.

use std::ops::AddAssign;

use cotangent::nn::{self, Init, Mlp};
use cotangent::optim::{self, Adam, AdamW, RmsProp, Sgd, clip_by_global_norm};
use cotangent::{Array, Error, Function, Key, Memory, Tensor};

use super::config::{Activation, Config, Loss, Optimizer};
use super::prepare::{Prepared, dtype};
use crate::failure::Failure;

/// What changes while training.
#[derive(Clone)]
pub struct State {
    /// The parameters.
    pub params: Mlp<Array>,
    /// What the optimiser remembers.
    pub optimizer: optim::State<Array>,
}

type Inputs = (
    Mlp<Tensor>,
    optim::State<Tensor>,
    Tensor,
    Tensor,
    Tensor,
    Key,
);
type Outputs = (Mlp<Tensor>, optim::State<Tensor>, Tensor, Tensor);

/// The traced functions of a network. Each is compiled once for each size of a batch.
pub struct Model {
    init: Function<(Key,), Mlp<Tensor>>,
    /// Parameters, state, batch, rate and key to parameters, state, loss and hits.
    step: Function<Inputs, Outputs>,
    /// Parameters and batch to loss and hits.
    score: Function<(Mlp<Tensor>, Tensor, Tensor), (Tensor, Tensor)>,
    /// Parameters and batch to the gradient of the mean cost without dropout, for reports.
    slopes: Function<(Mlp<Tensor>, Tensor, Tensor), Mlp<Tensor>>,
    /// Parameters and features to what the network gives.
    answers: Function<(Mlp<Tensor>, Tensor), Tensor>,
    rule: Rule,
    rate: cotangent::DType,
}

impl Model {
    /// The functions for these settings and data; a step and a score hold at most `memory` bytes.
    pub fn new(config: &Config, prepared: &Prepared, memory: Option<usize>) -> Model {
        let mut widths = vec![prepared.features.len()];
        widths.extend(&config.layers);
        widths.push(prepared.outputs());
        let (activation, first) = match config.activation {
            Activation::Relu => (nn::Activation::Relu, Init::HeNormal),
            Activation::LeakyRelu => (nn::Activation::LeakyRelu, Init::HeNormal),
            Activation::Elu => (nn::Activation::Elu, Init::HeNormal),
            Activation::Gelu => (nn::Activation::Gelu, Init::HeNormal),
            Activation::Silu => (nn::Activation::Silu, Init::HeNormal),
            Activation::Softplus => (nn::Activation::Softplus, Init::GlorotUniform),
            Activation::Sigmoid => (nn::Activation::Sigmoid, Init::GlorotUniform),
            Activation::Tanh => (nn::Activation::Tanh, Init::GlorotUniform),
        };
        let dtype = dtype(config);
        let init =
            Function::new(move |key: &Key| Mlp::init(key, &widths, activation, first, dtype));

        let cost = Cost {
            classes: prepared.labels.is_some(),
            loss: config.loss,
            smoothing: config.label_smoothing,
        };
        let dropout = config.dropout;
        let loss = Function::new(
            move |model: &Mlp<Tensor>, x: &Tensor, y: &Tensor, key: &Key| {
                let guess = match dropout {
                    0.0 => model.apply(x),
                    rate => model.apply_dropout(x, key, rate),
                };
                cost.of(&guess, y)
            },
        );
        let gradient = loss.value_and_grad_aux();
        let (rule, clip) = (Rule::new(config), config.clip);
        let step = Function::new(
            move |model: &Mlp<Tensor>,
                  state: &optim::State<Tensor>,
                  x: &Tensor,
                  y: &Tensor,
                  rate: &Tensor,
                  key: &Key| {
                let batch = (model.clone(), x.clone(), y.clone(), key.clone());
                let ((loss, hits), mut slope) = gradient.apply(batch);
                if clip > 0.0 {
                    slope = clip_by_global_norm(&slope, clip).0;
                }
                let (model, state) = rule.update(model, &slope, state, rate);
                (model, state, loss, hits)
            },
        );
        let score = Function::new(move |model: &Mlp<Tensor>, x: &Tensor, y: &Tensor| {
            cost.of(&model.apply(x), y)
        });
        let slopes = Function::new(move |model: &Mlp<Tensor>, x: &Tensor, y: &Tensor| {
            cost.of(&model.apply(x), y).0
        });
        let slopes = slopes.named("cost", []).grad();
        let (step, score) = (step.named("training_step", []), score.named("score", []));
        let answers = Function::new(|model: &Mlp<Tensor>, x: &Tensor| model.apply(x));
        let (step, score, slopes, answers) = match memory {
            None => (step, score, slopes, answers),
            Some(bytes) => (
                step.with_memory_budget(bytes),
                score.with_memory_budget(bytes),
                slopes.with_memory_budget(bytes),
                answers.with_memory_budget(bytes),
            ),
        };
        Model {
            init,
            step,
            score,
            slopes,
            answers,
            rule,
            rate: dtype,
        }
    }

    /// The same with a limit on the threads that work on a step.
    pub fn with_threads(self, threads: usize) -> Model {
        Model {
            init: self.init.with_threads(threads),
            step: self.step.with_threads(threads),
            score: self.score.with_threads(threads),
            slopes: self.slopes.with_threads(threads),
            answers: self.answers.with_threads(threads),
            ..self
        }
    }

    /// The first parameters and the state before the first step.
    pub fn init(&self, seed: u64) -> Result<State, Failure> {
        let params = self.init.call((key(seed, FIRST_PARAMETERS),))?;
        let optimizer = self.rule.init(&params)?;
        Ok(State { params, optimizer })
    }

    /// What a step on such a batch holds.
    pub fn memory(&self, state: &State, (x, y): (Array, Array)) -> Result<Memory, Failure> {
        let State { params, optimizer } = state.clone();
        let rate = Array::from(0.0).convert(self.rate);
        let batch = (params, optimizer, x, y, rate, key(0, 0));
        Ok(self.step.trace(&batch)?.memory()?)
    }

    /// One step on a batch.
    pub fn step(
        &self,
        state: &mut State,
        (x, y): (Array, Array),
        rate: f64,
        seed: u64,
        step: u64,
    ) -> Result<Score, Failure> {
        let rows = x.shape().first().copied().unwrap_or(0);
        let rate = Array::from(rate).convert(self.rate);
        let State { params, optimizer } = state.clone();
        let (params, optimizer, loss, hits) =
            self.step
                .call((params, optimizer, x, y, rate, key(seed, step)))?;
        *state = State { params, optimizer };
        Score::of(rows, &loss, &hits)
    }

    /// The gradient of the mean cost on a batch, without dropout.
    pub fn slopes(
        &self,
        params: &Mlp<Array>,
        (x, y): (Array, Array),
    ) -> Result<Mlp<Array>, Failure> {
        Ok(self.slopes.call((params.clone(), x, y))?)
    }

    /// What the network gives for some rows: a number for each class, or one.
    pub fn answers(&self, params: &Mlp<Array>, x: Array) -> Result<Array, Failure> {
        Ok(self.answers.call((params.clone(), x))?)
    }

    /// The score on rows; `None` if there are none.
    pub fn score(
        &self,
        params: &Mlp<Array>,
        x: &Array,
        y: &Array,
        rows: &[usize],
    ) -> Result<Option<Score>, Failure> {
        const BATCH: usize = 256;
        let mut score = None;
        for rows in rows.chunks(BATCH) {
            let (loss, hits) =
                self.score
                    .call((params.clone(), x.select_rows(rows)?, y.select_rows(rows)?))?;
            *score.get_or_insert_with(Score::default) += Score::of(rows.len(), &loss, &hits)?;
        }
        Ok(score)
    }
}

/// The step number that stands for the first parameters; no training has so many steps.
const FIRST_PARAMETERS: u64 = u64::MAX;

/// A key for each step of each seed: SplitMix64's mixing of the two (Steele, Lea and Flood, OOPSLA 2014).
fn key(seed: u64, step: u64) -> Key<Array> {
    let mix = |z: u64| {
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    Key::new(mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ step))
}

/// What is minimised, and what is counted beside it.
#[derive(Clone, Copy)]
struct Cost {
    classes: bool,
    loss: Loss,
    smoothing: f64,
}

impl Cost {
    /// The mean cost of a batch, and the sum of hits (of squared errors, for a regression).
    fn of(&self, guess: &Tensor, y: &Tensor) -> (Tensor, Tensor) {
        if self.classes {
            let hits = guess.argmax(-1).equal(y).convert(guess.dtype()).sum(..);
            return (nn::smoothed_cross_entropy(guess, y, self.smoothing), hits);
        }
        let loss = match self.loss {
            Loss::Mse => nn::mse(guess, y),
            Loss::Mae => nn::mae(guess, y),
            Loss::Huber => nn::huber(guess, y, 1.0),
        };
        (loss, (guess - y).square().sum(..))
    }
}

/// What a network does on some rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    rows: f64,
    /// The sum of the costs of all rows.
    cost: f64,
    /// The number of rows whose class was right, or the sum of squared errors.
    hits: f64,
}

impl Score {
    fn of(rows: usize, loss: &Array, hits: &Array) -> Result<Score, Failure> {
        let number = |array: &Array| -> Result<f64, Failure> {
            Ok(array.convert(cotangent::DType::F64).item::<f64>()?)
        };
        Ok(Score {
            rows: rows as f64,
            cost: number(loss)? * rows as f64,
            hits: number(hits)?,
        })
    }

    /// The mean cost.
    pub fn loss(&self) -> f64 {
        self.cost / self.rows.max(1.0)
    }

    /// The share of right classes, or the root of the mean squared error in the units of the target.
    pub fn result(&self, prepared: &Prepared) -> f64 {
        let mean = self.hits / self.rows.max(1.0);
        match &prepared.target_normalization {
            None => mean,
            Some(fitted) => mean.sqrt() * fitted.scale.to_f64s().first().copied().unwrap_or(1.0),
        }
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        self.rows += other.rows;
        self.cost += other.cost;
        self.hits += other.hits;
    }
}

/// The optimiser that was chosen.
#[derive(Clone, Copy)]
enum Rule {
    Sgd(Sgd),
    Adam(Adam),
    AdamW(AdamW),
    RmsProp(RmsProp),
}

impl Rule {
    fn new(config: &Config) -> Rule {
        let Config {
            momentum,
            nesterov,
            weight_decay,
            ..
        } = *config;
        match config.optimizer {
            Optimizer::Sgd => Rule::Sgd(Sgd {
                momentum,
                nesterov,
                weight_decay,
            }),
            Optimizer::Adam => Rule::Adam(Adam {
                weight_decay,
                ..Adam::default()
            }),
            Optimizer::Adamw => Rule::AdamW(AdamW {
                weight_decay,
                ..AdamW::default()
            }),
            Optimizer::Rmsprop => Rule::RmsProp(RmsProp {
                momentum,
                weight_decay,
                ..RmsProp::default()
            }),
        }
    }

    fn init(&self, params: &Mlp<Array>) -> Result<optim::State<Array>, Error> {
        Ok(match self {
            Rule::Sgd(rule) => rule.init(params)?,
            Rule::Adam(rule) => rule.init(params)?,
            Rule::AdamW(rule) => rule.init(params)?,
            Rule::RmsProp(rule) => rule.init(params)?,
        })
    }

    fn update(
        &self,
        params: &Mlp<Tensor>,
        slope: &Mlp<Tensor>,
        state: &optim::State<Tensor>,
        rate: &Tensor,
    ) -> (Mlp<Tensor>, optim::State<Tensor>) {
        match self {
            Rule::Sgd(rule) => rule.update(params, slope, state, rate),
            Rule::Adam(rule) => rule.update(params, slope, state, rate),
            Rule::AdamW(rule) => rule.update(params, slope, state, rate),
            Rule::RmsProp(rule) => rule.update(params, slope, state, rate),
        }
    }
}
