//! The samples: one line of index.jsonl each, with arrays in npz files.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use cotangent::{Array, npz};
use serde_json::Value;

/// One call of an operator with everything that is known about it. Names are those of arrays.
pub struct Sample {
    pub op: String,
    pub variant: String,
    pub number: i64,
    pub file: String,
    pub args: Vec<Value>,
    pub kwargs: Vec<(String, Value)>,
    /// The inputs that are differentiated.
    pub wrt: Vec<String>,
    pub outs: Vec<String>,
    /// The outputs that are differentiated.
    pub diff_outs: Vec<usize>,
    /// One for each of `diff_outs`.
    pub cotangents: Vec<String>,
    pub grad: Option<Vec<String>>,
    pub tangents: Option<Vec<String>>,
    pub jvp: Option<Vec<String>>,
    pub hvp: Option<Vec<String>>,
}

impl Sample {
    /// The operator with its variant.
    pub fn name(&self) -> String {
        if self.variant.is_empty() {
            self.op.clone()
        } else {
            format!("{}/{}", self.op, self.variant)
        }
    }
}

/// All samples of a folder, in the order of its index.
pub fn read_index(folder: &Path) -> Result<Vec<Sample>, String> {
    let path = folder.join("index.jsonl");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            sample(line).map_err(|e| format!("{}, line {}: {e}", path.display(), i + 1))
        })
        .collect()
}

fn sample(line: &str) -> Result<Sample, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |key: &str| match value.get(key) {
        Some(Value::String(s)) => Ok(s.clone()),
        _ => Err(format!("expected a string `{key}`")),
    };
    let names = |key: &str| match value.get(key) {
        Some(Value::Array(list)) => list
            .iter()
            .map(|v| v.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| format!("expected names in `{key}`")),
        _ => Err(format!("expected a list `{key}`")),
    };
    let names_or_none = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => names(key).map(Some),
    };
    let kwargs = match value.get("kwargs") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(map)) => map.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        Some(_) => return Err("expected an object `kwargs`".into()),
    };
    let outs = names("outs")?;
    let diff_outs = match value.get("diff_outs") {
        None | Some(Value::Null) => (0..outs.len()).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|v| {
                v.as_u64()
                    .and_then(|i| usize::try_from(i).ok())
                    .filter(|i| *i < outs.len())
            })
            .collect::<Option<Vec<usize>>>()
            .ok_or("expected numbers of outputs in `diff_outs`")?,
        Some(_) => return Err("expected a list `diff_outs`".into()),
    };
    Ok(Sample {
        op: text("op")?,
        variant: text("variant").unwrap_or_default(),
        number: value
            .get("sample")
            .and_then(Value::as_i64)
            .unwrap_or_default(),
        file: text("file")?,
        args: value
            .get("args")
            .and_then(Value::as_array)
            .ok_or("expected a list `args`")?
            .clone(),
        kwargs,
        wrt: names("wrt")?,
        outs,
        diff_outs,
        cotangents: names("cot")?,
        grad: names_or_none("grad")?,
        tangents: names_or_none("tan")?,
        jvp: names_or_none("jvp")?,
        hvp: names_or_none("hvp")?,
    })
}

/// The arrays of one npz file by name.
pub type Arrays = BTreeMap<String, Array>;

/// The npz files of a folder, each read once as long as samples come file by file.
pub struct Files {
    folder: PathBuf,
    last: HashMap<String, Arrays>,
}

impl Files {
    pub fn new(folder: &Path) -> Files {
        Files {
            folder: folder.to_owned(),
            last: HashMap::new(),
        }
    }

    /// The arrays of a file.
    pub fn arrays(&mut self, name: &str) -> Result<&Arrays, String> {
        if !self.last.contains_key(name) {
            let path = self.folder.join(name);
            let file =
                File::open(&path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
            let arrays = npz::read(BufReader::new(file))
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            self.last.clear();
            self.last
                .insert(name.to_owned(), arrays.into_iter().collect());
        }
        self.last
            .get(name)
            .ok_or_else(|| format!("no arrays of {name}"))
    }
}
