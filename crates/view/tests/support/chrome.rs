//! A browser without a window, driven over its debugging protocol.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running browser with one page. What went wrong in the page is collected.
pub struct Browser {
    /// One browser at a time: two would take each other's time, which some tests measure.
    _turn: MutexGuard<'static, ()>,
    child: Child,
    home: PathBuf,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    next: u64,
    troubles: Vec<String>,
}

impl Browser {
    /// Starts the browser that `COTANGENT_BROWSER` names, or the first known one of the path.
    /// `None`, with a line that says so, where there is none.
    pub fn start() -> Option<Browser> {
        let Some(program) = find() else {
            println!("skipped: no browser (install chromium or set COTANGENT_BROWSER)");
            return None;
        };
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let home = std::env::temp_dir().join(format!("cotangent-browser-{}", unique()));
        std::fs::create_dir_all(&home).unwrap();
        let mut child = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args(["--no-first-run", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
            ])
            .args([
                "--disable-extensions",
                "--mute-audio",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", home.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("listening on ")
                    .map(|(_, to)| to.to_owned())
            })
            .expect("the browser says where it listens");
        // The rest of what it says must be read, or it would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(address).expect("the browser answers");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut browser = Browser {
            _turn: turn,
            child,
            home,
            socket,
            session: None,
            next: 0,
            troubles: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Performance"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 800);
        Some(browser)
    }

    /// One command and its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut ask = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            ask["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(ask.to_string())).unwrap();
        loop {
            let message = self.read();
            if message["id"] == json!(self.next) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("the browser answers in time") {
                let message: Value = serde_json::from_str(&text).unwrap();
                self.note(&message);
                return message;
            }
        }
    }

    /// Keeps errors of the console, exceptions, and what the security policy forbade.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let found = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled")
                if matches!(
                    params["type"].as_str(),
                    Some("error" | "warning" | "assert")
                ) =>
            {
                Some(params["args"].to_string())
            }
            Some("Log.entryAdded") if params["entry"]["level"] != json!("verbose") => {
                Some(params["entry"].to_string())
            }
            Some("Page.javascriptDialogOpening") => Some(format!("a dialog opened: {params}")),
            _ => None,
        };
        self.troubles.extend(found);
    }

    /// What went wrong since the last time this was asked.
    pub fn troubles(&mut self) -> Vec<String> {
        // A round trip, so that everything that happened before it has arrived.
        self.eval("0");
        std::mem::take(&mut self.troubles)
    }

    /// The width and height of the window in CSS pixels; narrow ones are telephones.
    pub fn size(&mut self, width: u32, height: u32) {
        let mobile = width < 600;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile }),
        );
    }

    /// The processor time that the page has taken so far, in seconds.
    pub fn busy(&mut self) -> f64 {
        let answer = self.call("Performance.getMetrics", json!({}));
        let metrics = answer["metrics"].as_array().unwrap();
        let time = metrics.iter().find(|m| m["name"] == json!("ProcessTime"));
        time.and_then(|m| m["value"].as_f64())
            .expect("the browser measures itself")
    }

    /// What the system asks for: `light` or `dark`, and less motion.
    pub fn prefer(&mut self, scheme: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [
                { "name": "prefers-color-scheme", "value": scheme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] }),
        );
    }

    /// Writes a page to disk and opens it; gives the seconds until it was drawn.
    pub fn open(&mut self, html: &str, hash: &str) -> f64 {
        let file = self.home.join(format!("{}.html", unique()));
        std::fs::write(&file, html).unwrap();
        let start = Instant::now();
        self.visit(&format!("file://{}{hash}", file.display()));
        start.elapsed().as_secs_f64()
    }

    /// Opens an address and waits until the page stands.
    pub fn visit(&mut self, address: &str) {
        let gone = self.call("Page.navigate", json!({ "url": address }));
        assert!(gone["errorText"].is_null(), "{address}: {gone}");
        self.wait(
            "document.readyState === 'complete' && (location.href.startsWith('about:')
               || document.querySelector('.panel, .empty') !== null)",
        );
        // Two frames later, what was asked to be drawn is drawn.
        self.eval(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(0))))",
        );
    }

    /// The value of an expression in the page; promises are waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].clone()
    }

    /// The same as text.
    pub fn text(&mut self, expression: &str) -> String {
        match self.eval(expression) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let start = Instant::now();
        while self.eval(expression) != json!(true) {
            assert!(start.elapsed() < PATIENCE, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// Presses a key as a person would: `a`, `?`, `Enter`, `ArrowRight`, `Shift+Tab`.
    pub fn press(&mut self, key: &str) {
        let (modifiers, key) = match key.split_once('+') {
            Some(("Shift", rest)) if !rest.is_empty() => (8, rest),
            Some(("Control", rest)) if !rest.is_empty() => (2, rest),
            _ => (0, key),
        };
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            " " => (32, " "),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            one => (0, one),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code,
            });
            if kind == "keyDown" && !text.is_empty() && modifiers != 2 {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Presses the mouse at one place, moves it to another, and lets go.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let mut mouse = |kind: &str, (x, y): (f64, f64), held: u8| {
            let event = json!({
                "type": kind, "x": x, "y": y, "button": "left", "buttons": held, "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        };
        mouse("mouseMoved", from, 0);
        mouse("mousePressed", from, 1);
        if to != from {
            mouse(
                "mouseMoved",
                (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1)),
                1,
            );
            mouse("mouseMoved", to, 1);
        }
        mouse("mouseReleased", to, 0);
    }

    /// Turns the wheel at a place.
    pub fn wheel(&mut self, (x, y): (f64, f64), by: f64) {
        self.call(
            "Input.dispatchMouseEvent",
            json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by }),
        );
    }

    /// Moves fingers along lines, each from its first to its second place.
    pub fn touch(&mut self, fingers: &[[(f64, f64); 2]]) {
        for (kind, share) in [("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)] {
            let points: Vec<Value> = (fingers.iter().enumerate())
                .map(|(id, [a, b])| {
                    let at = |a: f64, b: f64| a + (b - a) * share;
                    json!({ "id": id, "x": at(a.0, b.0), "y": at(a.1, b.1) })
                })
                .collect();
            self.call(
                "Input.dispatchTouchEvent",
                json!({ "type": kind, "touchPoints": points }),
            );
        }
        self.call(
            "Input.dispatchTouchEvent",
            json!({ "type": "touchEnd", "touchPoints": [] }),
        );
    }

    /// Types text into what has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// A picture of the window as PNG.
    pub fn shot(&mut self) -> Vec<u8> {
        use base64::Engine as _;
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let data = answer["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("COTANGENT_BROWSER") {
        return Some(named.into());
    }
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|file| file.is_file())
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
