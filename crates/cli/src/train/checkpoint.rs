//! Files of trained networks and of unfinished runs: safetensors with all that is needed to go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cotangent::data::{CsvOptions, DataOptions, Dataset, Header, Missing, Table, Task, digits};
use cotangent::nn::Mlp;
use cotangent::safetensors::{self, Contents};
use cotangent::tree::Tree;
use cotangent::{Array, TensorType};

use super::config::Config;
use super::model::{Score, State};
use super::{Best, Job};
use crate::failure::{Failure, failed};
use crate::files;

/// What `format` says in every file.
const FORMAT: &str = "cotangent train 1";

/// Where the data comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The table; the digits without one.
    pub path: Option<PathBuf>,
    /// The column to learn.
    pub target: String,
    /// What to learn.
    pub task: Task,
    /// What becomes of rows with missing values.
    pub missing: Missing,
}

impl Source {
    /// Reads the data.
    pub fn read(&self) -> Result<Dataset, Failure> {
        let Some(path) = &self.path else {
            return Ok(digits()?);
        };
        // A number is the name of a column where the file has names; whether it does, shows in its first line.
        let number = self.target.parse::<usize>().is_ok();
        let header = if number { Header::Auto } else { Header::Yes };
        let table = Table::open(
            path,
            &CsvOptions {
                header,
                delimiter: None,
            },
        )?;
        let options = DataOptions {
            task: self.task,
            missing: self.missing,
        };
        Ok(table.dataset(&self.target, &options)?)
    }
}

/// What a file says.
pub struct Checkpoint {
    /// Where the data comes from.
    pub source: Source,
    /// The settings.
    pub config: Config,
    /// How many epochs are done.
    pub epoch: u64,
    /// Of the data.
    pub fingerprint: u64,
    /// Where the network goes when it is trained.
    pub save: Option<PathBuf>,
    /// Whether this stands beside the file where the network goes, until it does.
    pub temporary: bool,
    /// Whether this is a trained network, without the optimiser's state.
    pub is_final: bool,
    name: String,
    contents: Contents,
}

/// The checkpoint of a run that will be saved there.
pub fn beside(save: &Path) -> PathBuf {
    let mut name = save.as_os_str().to_owned();
    name.push(".checkpoint");
    PathBuf::from(name)
}

/// The file to go on from: the checkpoint beside a file while there is one, and the finished file once that is gone.
pub fn locate(path: &Path) -> PathBuf {
    let checkpoint = beside(path);
    if checkpoint.is_file() {
        return checkpoint;
    }
    match saved_beside(path) {
        Some(save) if !path.exists() => save,
        _ => path.to_owned(),
    }
}

/// The file that a checkpoint of this name stands for.
pub fn saved_beside(checkpoint: &Path) -> Option<PathBuf> {
    Some(PathBuf::from(
        checkpoint.to_str()?.strip_suffix(".checkpoint")?,
    ))
}

/// The file of a run: a checkpoint, or with the score on the test rows the trained network.
pub fn bytes(job: &Job, finished: Option<Option<&Score>>) -> Result<Vec<u8>, Failure> {
    let Job {
        source,
        config,
        prepared,
        state,
        ..
    } = job;
    let mut arrays: Vec<(String, &Array)> = Vec::new();
    if finished.is_some() {
        arrays.extend(named("params", job.params()));
    } else {
        arrays.extend(named("params", &state.params));
        arrays.extend(named("optimizer", &state.optimizer));
        arrays.extend(job.best.iter().flat_map(|best| named("best", &best.params)));
    }
    arrays.push(("features.mean".to_owned(), &prepared.normalization.mean));
    arrays.push(("features.scale".to_owned(), &prepared.normalization.scale));
    if let Some(fitted) = &prepared.target_normalization {
        arrays.push(("target.mean".to_owned(), &fitted.mean));
        arrays.push(("target.scale".to_owned(), &fitted.scale));
    }

    let mut metadata = BTreeMap::new();
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    put("format", FORMAT.to_owned());
    put("config", config.to_toml().or_else(failed)?);
    put("epoch", job.epoch.to_string());
    put("fingerprint", prepared.fingerprint.to_string());
    if let Some(best) = &job.best {
        put("best_epoch", best.epoch.to_string());
        put("best_cost", best.cost.to_string());
    }
    put("features", serde_json::to_string(&prepared.features)?);
    put("target", prepared.target.clone());
    if let Some(labels) = &prepared.labels {
        put("labels", serde_json::to_string(labels)?);
    }
    put(
        "task",
        if prepared.labels.is_some() {
            "classify"
        } else {
            "regress"
        }
        .to_owned(),
    );
    put(
        "drop_missing",
        (source.missing == Missing::Drop).to_string(),
    );
    if let Some(path) = &source.path {
        put("data", text(path)?);
        put("data_target", source.target.clone());
    }
    match finished {
        None => {
            if job.temporary {
                put("temporary", "true".to_owned());
            } else if let Some(save) = &job.save {
                put("save", text(save)?);
            }
        }
        Some(score) => {
            let name = if prepared.labels.is_some() {
                "test_accuracy"
            } else {
                "test_rmse"
            };
            if let Some(score) = score {
                put(name, score.result(prepared).to_string());
            }
            put("finished", "true".to_owned());
        }
    }
    let mut bytes = Vec::new();
    safetensors::write(&mut bytes, arrays, &metadata)?;
    Ok(bytes)
}

/// The leaves of a tree with their paths after a prefix.
fn named<'a, T: Tree<Array>>(prefix: &str, tree: &'a T) -> Vec<(String, &'a Array)> {
    let names = tree
        .paths()
        .into_iter()
        .map(|path| format!("{prefix}.{path}"));
    names.zip(tree.leaves()).collect()
}

/// A path as text that means the same from any folder.
fn text(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| files::about(path, &error))?;
    match absolute.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => failed(format!("{}: expected a path in UTF-8", path.display())),
    }
}

impl Checkpoint {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Checkpoint, Failure> {
        let name = files::name(path);
        let contents = safetensors::read(&files::read(path)?[..])
            .map_err(|error| files::about(path, &error))?;
        let metadata = &contents.metadata;
        let get = |key: &str| metadata.get(key).map(String::as_str);
        if get("format") != Some(FORMAT) {
            return failed(format!(
                "{name}: expected a file that `cotangent train` wrote"
            ));
        }
        let wanted = |key: &str| -> Result<&str, Failure> {
            get(key).map_or_else(|| failed(format!("{name}: `{key}` is missing")), Ok)
        };
        let number = |key: &str| -> Result<u64, Failure> {
            let value = wanted(key)?;
            value.parse().or_else(|_| {
                failed(format!(
                    "{name}: `{key}`: expected a whole number, found `{value}`"
                ))
            })
        };
        let config = Config::default()
            .with(wanted("config")?)
            .or_else(|message| failed(format!("{name}: `config`: {message}")))?;
        let task = match wanted("task")? {
            "classify" => Task::Classify,
            "regress" => Task::Regress,
            other => {
                return failed(format!(
                    "{name}: `task`: expected classify or regress, found `{other}`"
                ));
            }
        };
        let source = Source {
            path: get("data").map(PathBuf::from),
            target: get("data_target").unwrap_or_default().to_owned(),
            task,
            missing: if get("drop_missing") == Some("true") {
                Missing::Drop
            } else {
                Missing::Error
            },
        };
        Ok(Checkpoint {
            source,
            config,
            epoch: number("epoch")?,
            fingerprint: number("fingerprint")?,
            save: get("save").map(PathBuf::from),
            temporary: get("temporary").is_some(),
            is_final: get("finished").is_some(),
            name,
            contents,
        })
    }

    /// The parameters and, where there are epochs left, the optimiser's state, both shaped like `fresh`.
    pub fn state(&self, fresh: &State, left: bool) -> Result<State, Failure> {
        Ok(State {
            params: self.fill("params", &fresh.params)?,
            optimizer: match left {
                true => self.fill("optimizer", &fresh.optimizer)?,
                false => fresh.optimizer.clone(),
            },
        })
    }

    /// The best parameters so far, if some are kept; in a finished file they are the only ones.
    pub fn best(&self, fresh: &Mlp<Array>) -> Result<Option<Best>, Failure> {
        let metadata = &self.contents.metadata;
        let (Some(epoch), Some(cost)) = (metadata.get("best_epoch"), metadata.get("best_cost"))
        else {
            return Ok(None);
        };
        let (Ok(epoch), Ok(cost)) = (epoch.parse(), cost.parse()) else {
            return failed(format!(
                "{}: `best_epoch` and `best_cost`: expected numbers",
                self.name
            ));
        };
        let prefix = if self.is_final { "params" } else { "best" };
        Ok(Some(Best {
            cost,
            epoch,
            params: self.fill(prefix, fresh)?,
        }))
    }

    /// The tree with the arrays of the file.
    fn fill<T: Tree<Array>>(&self, prefix: &str, tree: &T) -> Result<T, Failure> {
        let mut leaves = Vec::new();
        for (path, like) in tree.paths().into_iter().zip(tree.leaves()) {
            let name = format!("{prefix}.{path}");
            let type_of = |array: &Array| TensorType::new(array.dtype(), array.shape().clone());
            match self.contents.get(&name) {
                Some(array) if type_of(array) == type_of(like) => leaves.push(array.clone()),
                Some(array) => {
                    return failed(format!(
                        "{}: array `{name}`: expected {}, found {}",
                        self.name,
                        type_of(like),
                        type_of(array)
                    ));
                }
                None => return failed(format!("{}: array `{name}` is missing", self.name)),
            }
        }
        Ok(tree.with_leaves(leaves)?)
    }
}
