//! A process that measures in turns: our own worker or the driver of a peer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::error::BenchError;

/// A process that takes longer than this for one answer has failed.
const LIMIT: Duration = Duration::from_secs(600);

/// A process that is measured.
pub struct Session {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// What a session said when it was told to go on.
pub enum Next {
    /// It waits to be measured again.
    Phase,
    /// It has told all and ended.
    Done(Value),
}

impl Session {
    /// Starts a process and waits until it can be measured.
    pub fn start(name: &str, mut command: Command) -> Result<Session, BenchError> {
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped
            .spawn()
            .map_err(|e| BenchError::process(name, e.to_string()))?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(mut stderr)) = streams else {
            return Err(BenchError::process(name, "has no streams"));
        };
        let (sender, lines) = mpsc::channel();
        // Ends with the process, or when nobody listens any more.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut session = Session {
            name: name.to_owned(),
            child,
            stdin,
            lines,
            errors: Some(errors),
        };
        match session.answer()? {
            message if message.get("phase").is_some() => Ok(session),
            other => Err(session.unexpected(&other)),
        }
    }

    /// The seconds of one call, from calls that fill some time.
    pub fn burst(&mut self, seconds: f64) -> Result<f64, BenchError> {
        self.tell(&format!("burst {seconds}"))?;
        let message = self.answer()?;
        match message.get("seconds").and_then(Value::as_f64) {
            Some(seconds) => Ok(seconds),
            None => Err(self.unexpected(&message)),
        }
    }

    /// Ends what is being measured.
    pub fn go_on(&mut self) -> Result<Next, BenchError> {
        self.tell("next")?;
        let message = self.answer()?;
        Ok(match message.get("phase") {
            Some(_) => Next::Phase,
            None => Next::Done(message),
        })
    }

    fn tell(&mut self, line: &str) -> Result<(), BenchError> {
        let written = writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush());
        written.map_err(|e| BenchError::process(&self.name, e.to_string()))
    }

    /// The next JSON object. Libraries may print other things meanwhile.
    fn answer(&mut self) -> Result<Value, BenchError> {
        loop {
            let line = match self.lines.recv_timeout(LIMIT) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let message = format!("gave no answer in {} s", LIMIT.as_secs());
                    return Err(BenchError::process(&self.name, message));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.ended()),
            };
            let Ok(message @ Value::Object(_)) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if let Some(error) = message.get("error").and_then(Value::as_str) {
                return Err(BenchError::process(&self.name, error));
            }
            return Ok(message);
        }
    }

    fn unexpected(&self, message: &Value) -> BenchError {
        let found: String = message.to_string().chars().take(200).collect();
        BenchError::process(&self.name, format!("gave an unexpected answer: {found}"))
    }

    /// Why the process has ended: its status, and the last line of its errors.
    fn ended(&mut self) -> BenchError {
        let status = self.child.wait();
        let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        let text = self.errors.take().and_then(|thread| thread.join().ok());
        let text = text.unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        let last: String = last.unwrap_or("").chars().take(300).collect();
        BenchError::process(&self.name, format!("ended ({status}) {last}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nothing is left to do where it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::{Next, Session};
    use std::process::Command;

    fn shell(script: &str) -> Result<Session, crate::error::BenchError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Session::start("it", command)
    }

    #[test]
    fn a_session_is_a_talk_in_lines() {
        let script = r#"echo noise; echo '{"phase": "derivative"}'; read line;
            test "$line" = 'burst 0.5' && echo '{"seconds": 0.25}'; read line; echo '{"value": 3}'"#;
        let mut session = shell(script).unwrap();
        assert_eq!(session.burst(0.5).unwrap(), 0.25);
        match session.go_on().unwrap() {
            Next::Done(message) => assert_eq!(message["value"], 3),
            Next::Phase => panic!("the script has one phase"),
        }
    }

    #[test]
    fn failures_are_told() {
        let message = |script: &str| match shell(script) {
            Ok(_) => "no error".to_owned(),
            Err(e) => e.to_string(),
        };
        let ended = message("echo why >&2; exit 3");
        assert!(ended.contains("3") && ended.ends_with("why"), "{ended}");
        assert!(message(r#"echo '{"error": "no such thing"}'"#).ends_with("no such thing"));
        assert!(message(r#"echo '{"seconds": 1}'"#).contains("unexpected"));
        let missing = Session::start("it", Command::new("/no/such/program"));
        assert!(missing.is_err());
    }
}
