//! The protocol: messages in, answers out.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::eval::{Eval, EvalError, Timing};
use crate::evals;
use crate::input::Input;

/// What has been defined so far.
#[derive(Default)]
pub struct Session {
    evals: HashMap<String, Eval>,
}

impl Session {
    /// The answer to one message. Whatever is wrong with it is in the answer, too.
    pub fn answer(&mut self, line: &[u8]) -> Value {
        let message: Value = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(e) => return failure(&Value::Null, format!("expected a message in JSON: {e}")),
        };
        let id = &message["id"];
        match message["kind"].as_str() {
            Some("start") => json!({"id": id, "tool": "cotangent"}),
            Some("define") => match self.define(&message) {
                Ok(()) => json!({"id": id, "success": true}),
                Err(e) => failure(id, e.to_string()),
            },
            Some("evaluate") => match self.evaluate(&message) {
                Ok((output, timings)) => {
                    let timings: Vec<Value> = timings.iter().map(to_json).collect();
                    json!({"id": id, "success": true, "output": output, "timings": timings})
                }
                Err(e) => failure(id, e.to_string()),
            },
            Some("analysis") => json!({"id": id}),
            _ => failure(id, format!("unknown kind of message {}", message["kind"])),
        }
    }

    fn define(&mut self, message: &Value) -> Result<(), EvalError> {
        let name = text(message, "module")?;
        let eval = evals::find(name).ok_or_else(|| EvalError::Module(name.to_owned()))?;
        self.evals.insert(name.to_owned(), eval);
        Ok(())
    }

    fn evaluate(&self, message: &Value) -> Result<(Value, Vec<Timing>), EvalError> {
        let (module, function) = (text(message, "module")?, text(message, "function")?);
        let eval = self
            .evals
            .get(module)
            .ok_or_else(|| EvalError::Module(module.to_owned()))?;
        eval.evaluate(function, &Input::new(&message["input"])?)
    }
}

fn text<'a>(message: &'a Value, field: &str) -> Result<&'a str, EvalError> {
    message[field]
        .as_str()
        .ok_or_else(|| EvalError::input(field, "a string", &message[field]))
}

fn failure(id: &Value, error: String) -> Value {
    json!({"id": id, "success": false, "error": error})
}

fn to_json(timing: &Timing) -> Value {
    // Runs of 500 years would not fit.
    let nanoseconds = u64::try_from(timing.duration.as_nanos()).unwrap_or(u64::MAX);
    json!({"name": timing.name, "nanoseconds": nanoseconds})
}
