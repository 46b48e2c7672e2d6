//! What a training was like, for its report.

use std::time::Instant;

use cotangent::nn::Mlp;
use cotangent::tree::Tree;
use cotangent::{Array, DType};
use cotangent_view::model::{Epoch, Example, Layer, Page, Statistics, Training};

use super::Job;
use super::model::{Model, Score};
use super::prepare::Prepared;
use crate::failure::Failure;

/// How many of the worst examples are shown.
const WORST: usize = 24;
/// Inputs of more features that are no picture are not listed.
const MOST_FEATURES: usize = 24;
/// Rows answered at a time.
const BATCH: usize = 256;

/// A training as it goes on.
pub struct Story {
    epochs: Vec<Epoch>,
    layers: Vec<Layer>,
    begin: Instant,
}

/// A step: parameters before it, and its batch.
pub struct Last {
    pub before: Mlp<Array>,
    pub batch: (Array, Array),
    pub rate: f64,
}

impl Story {
    /// Before the first epoch.
    pub fn new(params: &Mlp<Array>) -> Story {
        let named = params.paths().into_iter().zip(params.leaves());
        let layers = named.map(|(name, array)| Layer {
            name,
            ty: format!("{}{}", array.dtype(), array.shape()),
            ..Layer::default()
        });
        Story {
            epochs: Vec::new(),
            layers: layers.collect(),
            begin: Instant::now(),
        }
    }

    /// The end of an epoch, whose last step was `last` and gave `after`.
    pub fn epoch(
        &mut self,
        number: u64,
        (score, validation): (&Score, Option<&Score>),
        prepared: &Prepared,
        model: &Model,
        (last, after): (&Last, &Mlp<Array>),
    ) -> Result<(), Failure> {
        let begin = std::mem::replace(&mut self.begin, Instant::now());
        let slopes = model.slopes(&last.before, last.batch.clone())?;
        let pairs = last.before.leaves().into_iter().zip(after.leaves());
        for ((layer, slope), (before, after)) in
            self.layers.iter_mut().zip(slopes.leaves()).zip(pairs)
        {
            let (old, new) = (before.to_f64s(), after.to_f64s());
            let moved = norm(old.iter().zip(&new).map(|(a, b)| b - a));
            let ratio = moved / norm(old.into_iter()).max(f64::MIN_POSITIVE);
            layer.gradient = Statistics::of(slope);
            layer.gradient_norm.push(layer.gradient.norm);
            layer
                .update_ratio
                .push(Some(ratio).filter(|r| r.is_finite()));
        }
        let known = |x: f64| Some(x).filter(|x| x.is_finite());
        self.epochs.push(Epoch {
            number,
            loss: known(score.loss()),
            validation_loss: validation.and_then(|v| known(v.loss())),
            metric: known(score.result(prepared)),
            validation_metric: validation.and_then(|v| known(v.result(prepared))),
            rate: known(last.rate),
            seconds: known(begin.elapsed().as_secs_f64()),
        });
        Ok(())
    }

    /// The page of the whole training, with its answers on the rows held out.
    pub fn page(mut self, job: &Job, score: Option<&Score>, seconds: f64) -> Result<Page, Failure> {
        let (prepared, params) = (&job.prepared, job.params());
        for (layer, array) in self.layers.iter_mut().zip(params.leaves()) {
            layer.weights = Statistics::of(array);
        }
        let (rows, which) = match prepared.split.test.is_empty() {
            false => (&prepared.split.test, "held-out rows"),
            true => (&prepared.split.validation, "validation rows"),
        };
        let answers = Answers::of(job, rows)?;
        let metric = match prepared.labels {
            Some(_) => "accuracy",
            None => "rmse",
        };
        let mut summary = vec![
            [
                "rows to train on".to_owned(),
                prepared.split.train.len().to_string(),
            ],
            [which.to_owned(), rows.len().to_string()],
            ["epochs".to_owned(), job.config.epochs.to_string()],
            ["steps".to_owned(), job.steps().to_string()],
            ["seconds".to_owned(), format!("{seconds:.2}")],
        ];
        if let Some(score) = score {
            let value = format!("{:.4}", score.result(prepared));
            summary.insert(0, [format!("test {metric}"), value]);
        }
        let training = Training {
            configuration: configuration(job)?,
            metric: metric.to_owned(),
            epochs: self.epochs,
            layers: self.layers,
            classes: prepared.labels.clone().unwrap_or_default(),
            confusion: answers.confusion,
            worst: answers.worst,
            summary,
        };
        let name = job.source.path.as_deref().map(crate::files::name);
        Ok(Page {
            title: match &name {
                Some(name) => format!("Training on {name}"),
                None => "Training on the digits".to_owned(),
            },
            about: format!(
                "{} \u{2192} {}, {} parameters in {} arrays",
                match prepared.features.len() {
                    1 => "1 feature".to_owned(),
                    n => format!("{n} features"),
                },
                prepared.target,
                params.leaves().iter().map(|a| a.len()).sum::<usize>(),
                params.leaves().len()
            ),
            training: Some(training),
            ..Page::default()
        })
    }
}

/// The settings, and what else was asked for.
fn configuration(job: &Job) -> Result<Vec<[String; 2]>, Failure> {
    let text = job.config.to_toml().map_err(Failure::Failed)?;
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    let mut all: Vec<[String; 2]> = lines
        .map(|(name, value)| [name.to_owned(), value.trim_matches('"').to_owned()])
        .collect();
    if let Some(bytes) = job.memory {
        all.push(["memory".to_owned(), format!("{bytes} bytes")]);
    }
    Ok(all)
}

/// What the network answers on rows that it was not trained on.
#[derive(Default)]
struct Answers {
    confusion: Vec<Vec<u64>>,
    worst: Vec<Example>,
}

impl Answers {
    fn of(job: &Job, rows: &[usize]) -> Result<Answers, Failure> {
        let prepared = &job.prepared;
        let classes = prepared.labels.as_ref().map_or(0, Vec::len);
        let mut answers = Answers {
            confusion: vec![vec![0; classes]; classes],
            worst: Vec::new(),
        };
        for rows in rows.chunks(BATCH) {
            let x = prepared.x.select_rows(rows)?;
            let y = prepared.y.select_rows(rows)?.to_f64s();
            let guess = job.model.answers(job.params(), x)?;
            let guess = guess.convert(DType::F64).into_vec::<f64>()?;
            let width = guess.len() / rows.len().max(1);
            for ((&row, guess), truth) in rows.iter().zip(guess.chunks(width.max(1))).zip(y) {
                let example = match &prepared.labels {
                    Some(labels) => answers.class(labels, row, guess, truth as usize),
                    None => number(prepared, row, guess, truth)?,
                };
                answers.worst.push(example);
            }
            // The worst so far are all that later rows compete with.
            answers.worst.sort_by(|a, b| {
                let loss = |e: &Example| e.loss.unwrap_or(f64::INFINITY);
                loss(b).total_cmp(&loss(a))
            });
            answers.worst.truncate(WORST);
        }
        let wrong = |e: &Example| prepared.labels.is_none() || e.truth != e.answer;
        answers.worst.retain(wrong);
        for example in &mut answers.worst {
            show_inputs(prepared, example)?;
        }
        Ok(answers)
    }

    fn class(&mut self, labels: &[String], row: usize, guess: &[f64], truth: usize) -> Example {
        let most = guess.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let answer = guess.iter().position(|g| *g == most).unwrap_or(0);
        let all: f64 = guess.iter().map(|g| (g - most).exp()).sum();
        let share = |k: usize| guess.get(k).map(|g| (g - most).exp() / all);
        if let Some(count) = self
            .confusion
            .get_mut(truth)
            .and_then(|r| r.get_mut(answer))
        {
            *count += 1;
        }
        let label = |k: usize| labels.get(k).cloned().unwrap_or_default();
        Example {
            row,
            truth: label(truth),
            answer: label(answer),
            probability: share(answer),
            loss: share(truth).map(|p| -p.ln()).filter(|l| l.is_finite()),
            ..Example::default()
        }
    }
}

/// A row of a regression, in the units of the target.
fn number(prepared: &Prepared, row: usize, guess: &[f64], truth: f64) -> Result<Example, Failure> {
    let guess = guess.first().copied().unwrap_or(f64::NAN);
    let undo = |x: f64| -> Result<f64, Failure> {
        let Some(fitted) = &prepared.target_normalization else {
            return Ok(x);
        };
        let column = Array::vector(vec![x]).reshape([1, 1])?;
        Ok(fitted
            .undo(&column)?
            .to_f64s()
            .first()
            .copied()
            .unwrap_or(x))
    };
    let (guess, truth) = (undo(guess)?, undo(truth)?);
    Ok(Example {
        row,
        truth: format!("{truth:.6}"),
        answer: format!("{guess:.6}"),
        loss: Some((guess - truth).powi(2)).filter(|l| l.is_finite()),
        ..Example::default()
    })
}

/// Adds the features, in the units of the table: as pixels where they look like a picture.
fn show_inputs(prepared: &Prepared, example: &mut Example) -> Result<(), Failure> {
    let row = prepared.x.select_rows(&[example.row])?.convert(DType::F64);
    let row = prepared.normalization.undo(&row)?.to_f64s();
    if let Some(side) = picture_side(prepared) {
        let most = row.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let shade = |x: &f64| (x / most).clamp(0.0, 1.0);
        let rows = row
            .chunks(side)
            .map(|line| line.iter().map(shade).collect());
        example.pixels = rows.collect();
    } else if row.len() <= MOST_FEATURES {
        let named = prepared.features.iter().zip(&row);
        example.inputs = named
            .map(|(name, x)| [name.clone(), format!("{x:.6}")])
            .collect();
    }
    Ok(())
}

/// The width of a square picture, where the features are numbered alike (`pixel0`, `pixel1`, ...) and
/// as many as a square of 8 or more has.
fn picture_side(prepared: &Prepared) -> Option<usize> {
    let features = &prepared.features;
    let side = features.len().isqrt();
    let stem = |name: &String| {
        name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_')
            .to_owned()
    };
    let first = features.first().map(stem)?;
    let alike = features
        .iter()
        .all(|f| stem(f) == first && f.len() > first.len());
    (side >= 8 && side * side == features.len() && alike).then_some(side)
}

fn norm(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum::<f64>().sqrt()
}
