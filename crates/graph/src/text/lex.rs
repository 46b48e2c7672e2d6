//! Text to tokens, one at a time.

use super::{At, ParseError};

/// A token and where it starts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) at: At,
}

/// The kinds of tokens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind<'a> {
    Name(&'a str),
    /// Digits as written, and what stands behind them: a dtype or nothing.
    Int(&'a str, &'a str),
    Float(&'a str, &'a str),
    /// One of the signs and operators in [`SIGNS`].
    Sign(&'static str),
    End,
}

impl std::fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Name(n) => write!(f, "`{n}`"),
            Kind::Int(n, suffix) | Kind::Float(n, suffix) => write!(f, "`{n}{suffix}`"),
            Kind::Sign(s) => write!(f, "`{s}`"),
            Kind::End => f.write_str("the end of the text"),
        }
    }
}

/// Longer signs first, so that `->` is not read as `-`.
const SIGNS: &[&str] = &[
    "...", "**", "->", "==", "!=", "<=", ">=", "..", "(", ")", "[", "]", "{", "}", ",", ":", ";",
    "=", "<", ">", "+", "-", "*", "/", "%", "@", "&", "|", "^", "!", "#",
];

/// Reads a text token by token.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: At,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of a text.
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            rest: text,
            at: At { line: 1, column: 1 },
        }
    }

    /// The next token; `End` again and again at the end.
    pub(super) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        self.skip_blanks()?;
        let at = self.at;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token {
                kind: Kind::End,
                at,
            });
        };
        let kind = if first.is_alphabetic() || first == '_' {
            Kind::Name(self.take(word_length(self.rest)))
        } else if first.is_ascii_digit() {
            self.number()
        } else if let Some(sign) = SIGNS.iter().find(|s| self.rest.starts_with(**s)) {
            self.take(sign.len());
            Kind::Sign(sign)
        } else {
            let message = format!("unexpected character `{}`", first.escape_debug());
            return Err(ParseError::new(at, message));
        };
        Ok(Token { kind, at })
    }

    fn number(&mut self) -> Kind<'a> {
        let text = self.rest.as_bytes();
        let byte = |i: usize| text.get(i).copied();
        let digits = |mut i: usize| {
            while byte(i).is_some_and(|c| c.is_ascii_digit() || c == b'_') {
                i += 1;
            }
            i
        };
        let mut end = digits(0);
        let mut float = false;
        // `1.` starts a fraction, `1..` does not: it is the start of a range.
        if byte(end) == Some(b'.') && byte(end + 1) != Some(b'.') {
            float = true;
            end = digits(end + 1);
        }
        if matches!(byte(end), Some(b'e' | b'E')) {
            let signed = matches!(byte(end + 1), Some(b'+' | b'-'));
            let start = end + 1 + usize::from(signed);
            if byte(start).is_some_and(|c| c.is_ascii_digit()) {
                float = true;
                end = digits(start);
            }
        }
        let number = self.take(end);
        let suffix = self.take(word_length(self.rest)).trim_start_matches('_');
        if float || suffix.starts_with('f') {
            Kind::Float(number, suffix)
        } else {
            Kind::Int(number, suffix)
        }
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            self.take(self.rest.len() - self.rest.trim_start().len());
            if self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => self.take(end + 2),
                    None => {
                        return Err(ParseError::new(
                            self.at,
                            "expected `*/` to end this comment",
                        ));
                    }
                };
            } else {
                return Ok(());
            }
        }
    }

    /// The next bytes, which end at a character's border.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.at.line = self.at.line.saturating_add(1);
                self.at.column = 1;
            } else {
                self.at.column = self.at.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}
