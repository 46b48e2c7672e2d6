//! The page: one HTML file that holds its data, its script and its style, and asks for nothing else.
//!
//! The parts are plain files next to this one. They are joined here, without a build step: the
//! files of `js` in a fixed order inside of one function, the files of `css`, and the data as JSON.
//!
//! # What may run
//! A content security policy allows exactly the page's own script and style, by their SHA-256, and
//! no address at all. The data stands in a block that is never run, with every character escaped
//! that means something to HTML, and the script puts text in as text only.
//!
//! # A live page
//! If [`Page::live`] is there, the page shows a bar in which a function can be typed, and may speak
//! to the server that it came from (`connect-src 'self'`), and to nobody else. Its only request is
//!
//! ```text
//! POST /api/show
//! content-type: application/json
//! x-token: <Live::token>
//!
//! {"text": "..", "inputs": [{"name": "w", "type": "", "text": "0.5"}], "wrt": ["w"], "mode": ".."}
//! ```
//!
//! which is a [`Question`](crate::model::Question): the text as it is typed, the inputs as they are
//! typed (only those that the page knows of; none after a change of example), the names that are
//! ticked, and one of [`Live::modes`](crate::model::Live::modes). The answer is JSON with any status:
//! either a whole [`Page`], whose `live` says what the server made of the question (the inputs that
//! the text has, with their types and values; its token is not looked at), or a
//! [`Refusal`](crate::model::Refusal), `{"error": {"message": .., "line": .., "column": ..,
//! "input": ..}}`, which is shown below the text with a caret under the character, or beside the
//! input. A question is sent 350 ms after the last key, at once for a change of mode or wrt and for
//! Ctrl+Enter; a question that is still on its way when the next one is sent is aborted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::Page;

const TEMPLATE: &str = include_str!("template.html");

const STYLE: [&str; 2] = [include_str!("css/base.css"), include_str!("css/views.css")];

/// Later files use what earlier ones define at once; functions may be used from anywhere.
const SCRIPT: [&str; 17] = [
    include_str!("js/kit.js"),
    include_str!("js/value.js"),
    include_str!("js/charts.js"),
    include_str!("js/layout.js"),
    include_str!("js/paint.js"),
    include_str!("js/graph.js"),
    include_str!("js/details.js"),
    include_str!("js/look.js"),
    include_str!("js/walk.js"),
    include_str!("js/passes.js"),
    include_str!("js/memory.js"),
    include_str!("js/cost.js"),
    include_str!("js/training.js"),
    include_str!("js/trouble.js"),
    include_str!("js/live.js"),
    include_str!("js/keys.js"),
    include_str!("js/main.js"),
];

/// A page as one HTML file that opens from disk, without a network and without a server.
///
/// # Errors
/// Those of writing the data as JSON; there is no page for which this is known to happen.
///
/// ```
/// use cotangent_view::model::Page;
/// let html = cotangent_view::page(&Page { title: "f".into(), ..Page::default() }).unwrap();
/// assert!(html.starts_with("<!doctype html>"));
/// ```
pub fn page(page: &Page) -> Result<String, serde_json::Error> {
    let data = inert(&serde_json::to_string(page)?);
    let style = unix(&STYLE.concat());
    let script = unix(&format!(
        "(() => {{\n\"use strict\";\n{}}})();",
        SCRIPT.concat()
    ));
    let connect = if page.live.is_some() {
        "; connect-src 'self'"
    } else {
        ""
    };
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:{connect}; \
         base-uri 'none'; form-action 'none'",
        source(&script),
        source(&style)
    );
    let parts = [
        ("policy", policy),
        ("style", style),
        ("data", data),
        ("script", script),
    ];
    Ok(join(&unix(TEMPLATE), &parts))
}

/// Puts the parts in the places that the template names. What a part contains is not looked at
/// again, so that data cannot name a place.
fn join(template: &str, parts: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let part = parts.iter().find(|(n, _)| *n == name);
        out.push_str(part.map_or("", |(_, text)| text));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// JSON in which no character means anything to HTML or ends a line of a script.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            // Outside of strings JSON has none of these, so the escapes are always inside of one.
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// HTML reads every end of line as one character before it takes a hash, so a checkout with the
/// two characters of another system would not match.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// How a content security policy names a script or a style.
fn source(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(hmac_sha256::Hash::hash(text.as_bytes()))
    )
}

#[cfg(test)]
mod tests;
