//! `cotangent train`: fits a classifier or a regressor to a table, or to the digits that come with the crate.

mod chart;
mod checkpoint;
mod config;
mod model;
mod prepare;
mod progress;
mod story;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use cotangent::Array;
use cotangent::data::{self, Missing, Task};
use cotangent::nn::Mlp;

use crate::failure::{Failure, failed, usage};
use crate::files;
use checkpoint::{Checkpoint, Source};
use config::{Config, Keep};
use model::{Model, Score};
use prepare::Prepared;
use progress::Progress;
use story::{Last, Story};

/// Trains a network on a table, or without arguments on the digits that come with the crate.
///
/// The same seed gives the same bits. Progress goes to standard error, the result to standard output.
#[derive(Debug, clap::Args)]
#[command(after_long_help = config::help())]
pub struct Args {
    /// The table: .csv, .tsv (also .gz), .npy or .npz. A CSV file has a header if no cell of its first line is a
    /// number, or if the target is a name.
    #[arg(long, value_name = "FILE", requires = "target")]
    data: Option<PathBuf>,
    /// The column to learn: its name, or its number counted from 1.
    #[arg(long, value_name = "NAME", requires = "data")]
    target: Option<String>,
    /// What to learn; if not given, classes where the target is text or few different whole numbers.
    #[arg(long, value_enum)]
    task: Option<Kind>,
    /// Leaves out rows with missing values, which are an error otherwise.
    #[arg(long)]
    drop_missing: bool,
    /// Settings in TOML; see below.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// The seed; goes before that of the settings.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Writes the trained network here, as safetensors. Until it is trained, FILE.checkpoint holds the state after
    /// every epoch.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Writes the state after every epoch here, and keeps it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Goes on from a checkpoint as if nothing had happened; the file of --save stands for its FILE.checkpoint.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["data", "target", "task", "drop_missing", "config", "seed"]
    )]
    resume: Option<PathBuf>,
    /// The most that a step may hold, parameters and batch included; some values are then computed again instead of
    /// kept. The result is the same to the bit.
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse, allow_negative_numbers = true)]
    memory: Option<usize>,
    /// The most threads that work on it; by default the variable COTANGENT_THREADS, or else 1.
    /// The numbers do not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Writes a page about the training here: curves, gradients, errors. It opens in any browser, without a network.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Makes the last line of standard output one JSON object: test_accuracy or test_rmse, epochs, steps, seconds,
    /// seed.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Classify,
    Regress,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let start = Instant::now();
    for path in [&args.save, &args.checkpoint, &args.resume]
        .into_iter()
        .flatten()
    {
        if files::is_standard(path) {
            return usage("--save, --checkpoint and --resume take files, not `-`");
        }
    }
    let (found, mut job) = match &args.resume {
        Some(path) => resume(path, args)?,
        None => begin(args)?,
    };
    if let Some(threads) = args.threads {
        job.model = job.model.with_threads(threads.get());
    }
    if job.save.is_some() && job.save == job.checkpoint {
        return usage("--save and --checkpoint take different files");
    }
    for path in [&job.save, &job.checkpoint, &args.report]
        .into_iter()
        .flatten()
    {
        files::check_writable(path)?;
    }
    if let Some(checkpoint) = found {
        job.take_over(checkpoint)?;
    }
    let mut story = args.report.is_some().then(|| Story::new(&job.state.params));
    let score = job.train(story.as_mut())?;
    if let (Some(path), Some(story)) = (&args.report, story) {
        let page = story.page(&job, score.as_ref(), start.elapsed().as_secs_f64())?;
        files::write(path, cotangent_view::page(&page)?.as_bytes())?;
    }
    report(&job, score, start, args.json)
}

/// A training run: the data, the network and how far it is.
struct Job {
    source: Source,
    config: Config,
    prepared: Prepared,
    model: Model,
    state: model::State,
    best: Option<Best>,
    /// How many epochs are done.
    epoch: u64,
    save: Option<PathBuf>,
    checkpoint: Option<PathBuf>,
    /// The checkpoint goes when the network is saved.
    temporary: bool,
    /// The most bytes that a step may hold.
    memory: Option<usize>,
}

/// The parameters with the lowest cost of the validation rows so far.
struct Best {
    cost: f64,
    /// The number of epochs that they were trained for.
    epoch: u64,
    params: Mlp<Array>,
}

/// A run from the start.
fn begin(args: &Args) -> Result<(Option<Checkpoint>, Job), Failure> {
    let source = Source {
        path: args.data.clone(),
        target: args.target.clone().unwrap_or_default(),
        task: match args.task {
            None => Task::Auto,
            Some(Kind::Classify) => Task::Classify,
            Some(Kind::Regress) => Task::Regress,
        },
        missing: if args.drop_missing {
            Missing::Drop
        } else {
            Missing::Error
        },
    };
    if source.path.is_none() && args.task == Some(Kind::Regress) {
        return usage("the digits are classes; --task regress needs --data");
    }
    let text = match &args.config {
        Some(path) => files::read_text(path)?,
        None => String::new(),
    };
    let dataset = source.read()?;
    let base = match source.path {
        None => Config::digits(),
        Some(_) => Config::table(dataset.rows()),
    };
    let name = args.config.as_deref().map(files::name).unwrap_or_default();
    let mut config = base
        .with(&text)
        .or_else(|message| failed(format!("{name}: {message}")))?;
    config.seed = args.seed.unwrap_or(config.seed);
    let (checkpoint, temporary) = checkpoint_path(args.checkpoint.as_ref(), args.save.as_ref());
    let job = Job::new(
        source,
        config,
        &dataset,
        args.save.clone(),
        checkpoint,
        temporary,
        args.memory,
    )?;
    Ok((None, job))
}

/// A run from a checkpoint.
fn resume(path: &Path, args: &Args) -> Result<(Option<Checkpoint>, Job), Failure> {
    let path = checkpoint::locate(path);
    let found = Checkpoint::read(&path)?;
    let dataset = found.source.read()?;
    // A checkpoint beside a file stands for it wherever both have moved; any other one says what it is for.
    let beside = checkpoint::saved_beside(&path).filter(|_| found.temporary);
    let save = args
        .save
        .clone()
        .or_else(|| beside.clone())
        .or_else(|| found.save.clone());
    let (checkpoint, temporary) = match &args.checkpoint {
        // What was read is what is written again, unless other files are named.
        None if args.save.is_none() && !found.is_final => (Some(path), beside.is_some()),
        given => checkpoint_path(given.as_ref(), save.as_ref()),
    };
    let job = Job::new(
        found.source.clone(),
        found.config.clone(),
        &dataset,
        save,
        checkpoint,
        temporary,
        args.memory,
    )?;
    Ok((Some(found), job))
}

fn checkpoint_path(given: Option<&PathBuf>, save: Option<&PathBuf>) -> (Option<PathBuf>, bool) {
    match (given, save) {
        (Some(given), _) => (Some(given.clone()), false),
        (None, Some(save)) => (Some(checkpoint::beside(save)), true),
        (None, None) => (None, false),
    }
}

impl Job {
    fn new(
        source: Source,
        config: Config,
        dataset: &data::Dataset,
        save: Option<PathBuf>,
        checkpoint: Option<PathBuf>,
        temporary: bool,
        memory: Option<usize>,
    ) -> Result<Job, Failure> {
        let prepared = Prepared::new(dataset, &config)?;
        let model = Model::new(&config, &prepared, memory);
        let state = model.init(config.seed)?;
        Ok(Job {
            source,
            config,
            prepared,
            model,
            state,
            best: None,
            epoch: 0,
            save,
            checkpoint,
            temporary,
            memory,
        })
    }

    /// Says what the memory budget costs.
    fn tell_memory(&self, x: &Array, y: &Array, rows: &[usize]) -> Result<(), Failure> {
        if self.memory.is_none() || rows.is_empty() {
            return Ok(());
        }
        let rows = &rows[..rows.len().min(self.config.batch_size)];
        let batch = (x.select_rows(rows)?, y.select_rows(rows)?);
        let memory = self.model.memory(&self.state, batch)?;
        eprintln!(
            "memory: a step holds {} bytes instead of {}, expected time {:+.1} %",
            memory.bytes,
            memory.without_budget,
            100.0 * (memory.slowdown - 1.0)
        );
        Ok(())
    }

    /// Goes on where a checkpoint stopped.
    fn take_over(&mut self, checkpoint: Checkpoint) -> Result<(), Failure> {
        if checkpoint.fingerprint != self.prepared.fingerprint {
            return failed("the data is not what the checkpoint was trained on");
        }
        self.epoch = checkpoint.epoch.min(self.config.epochs);
        let left = self.epoch < self.config.epochs;
        self.best = checkpoint.best(&self.state.params)?;
        self.state = checkpoint.state(&self.state, left)?;
        Ok(())
    }

    /// Trains to the end; the score on the test rows, if there are any.
    fn train(&mut self, mut story: Option<&mut Story>) -> Result<Option<Score>, Failure> {
        let (x, y) = (&self.prepared.x.clone(), &self.prepared.y.clone());
        let split = self.prepared.split.clone();
        let size = self.config.batch_size;
        let steps = split.train.len().div_ceil(size) as u64;
        let schedule = self.config.schedule(steps);
        self.tell_memory(x, y, &split.train)?;
        self.write_checkpoint()?;
        let mut progress = Progress::new(self.epoch, self.config.epochs, split.train.len());
        while self.epoch < self.config.epochs {
            let mut score = Score::default();
            let seed = self.config.seed;
            let mut last = None;
            for (i, rows) in data::batches(&split.train, size, seed, self.epoch).enumerate() {
                let step = self.epoch * steps + i as u64;
                let rate = schedule.at(step);
                let batch = (x.select_rows(&rows)?, y.select_rows(&rows)?);
                if story.is_some() {
                    let (before, batch) = (self.state.params.clone(), batch.clone());
                    last = Some(Last {
                        before,
                        batch,
                        rate,
                    });
                }
                score += self.model.step(&mut self.state, batch, rate, seed, step)?;
                progress.rows(rows.len(), &score, &self.prepared);
            }
            if !score.loss().is_finite() {
                progress.end();
                self.drop_checkpoint();
                return failed(format!(
                    "the loss is no longer finite in epoch {}: try a smaller learning rate (lr) or a bound for the \
                     gradient (clip)",
                    self.epoch + 1
                ));
            }
            let validation = self
                .model
                .score(&self.state.params, x, y, &split.validation)?;
            self.epoch += 1;
            self.keep(validation.as_ref());
            if let (Some(story), Some(last)) = (&mut story, &last) {
                let scores = (&score, validation.as_ref());
                let parameters = (last, &self.state.params);
                story.epoch(self.epoch, scores, &self.prepared, &self.model, parameters)?;
            }
            progress.epoch(self.epoch, &score, validation.as_ref(), &self.prepared);
            self.write_checkpoint()?;
        }
        progress.end();
        let score = self.model.score(self.params(), x, y, &split.test)?;
        if let Some(save) = &self.save {
            files::write(save, &checkpoint::bytes(self, Some(score.as_ref()))?)?;
            self.drop_checkpoint();
        }
        Ok(score)
    }

    /// Keeps the parameters if they are the best so far. Without validation rows the last ones are the result.
    fn keep(&mut self, validation: Option<&Score>) {
        let Some(cost) = validation.map(Score::loss) else {
            return;
        };
        let better = self.best.as_ref().is_none_or(|best| cost < best.cost);
        if self.config.keep == Keep::Best && better {
            self.best = Some(Best {
                cost,
                epoch: self.epoch,
                params: self.state.params.clone(),
            });
        }
    }

    /// The parameters that are the result.
    fn params(&self) -> &Mlp<Array> {
        self.best
            .as_ref()
            .map_or(&self.state.params, |best| &best.params)
    }

    fn write_checkpoint(&self) -> Result<(), Failure> {
        match &self.checkpoint {
            Some(path) => files::write(path, &checkpoint::bytes(self, None)?),
            None => Ok(()),
        }
    }

    /// Removes the checkpoint that stood in for the network; one that cannot be removed does no harm.
    fn drop_checkpoint(&self) {
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| self.temporary) {
            let _ = std::fs::remove_file(checkpoint);
        }
    }

    /// How many steps all epochs have.
    fn steps(&self) -> u64 {
        self.config.epochs
            * self
                .prepared
                .split
                .train
                .len()
                .div_ceil(self.config.batch_size) as u64
    }
}

/// The result on standard output.
fn report(job: &Job, score: Option<Score>, start: Instant, json: bool) -> Result<(), Failure> {
    let seconds = start.elapsed().as_secs_f64();
    let Job {
        config, prepared, ..
    } = job;
    let name = if prepared.labels.is_some() {
        "test_accuracy"
    } else {
        "test_rmse"
    };
    let value = score.as_ref().map(|score| score.result(prepared));
    let mut text = match value {
        Some(value) => {
            format!(
                "{} {value:.4} on {} held-out rows\n",
                name.replace('_', " "),
                prepared.split.test.len()
            )
        }
        None => "no rows were held out to test on\n".to_owned(),
    };
    text.push_str(&format!(
        "{} epochs, {} steps, {seconds:.1} s\n",
        config.epochs,
        job.steps()
    ));
    if json {
        let object = serde_json::json!({
            name: value,
            "epochs": config.epochs,
            "steps": job.steps(),
            "seconds": seconds,
            "seed": config.seed,
        });
        text.push_str(&format!("{object}\n"));
    }
    files::print(&text)
}
