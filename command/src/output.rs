//! Writing: exit codes, and text of other people on a terminal.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

/// Something is in the way, or is left.
pub const IN_THE_WAY: u8 = 1;

/// The command line is not understood.
pub const WRONG_USAGE: u8 = 2;

/// It could not be done.
pub const FAILED: u8 = 3;

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// Standard output was closed.
    Closed,
    /// What was asked for can't be meant, and this is to be said.
    Usage(String),
    /// This is to be said.
    Said(String),
}

/// Refuses what has the form of a native key and is none.
pub fn check_key(key: &str) -> Result<(), Failure> {
    if qshm::diagnosis::machine::is_malformed(key) {
        return Err(Failure::Usage(format!(
            "{} is no native key: systemv:PATH, systemv-33:PATH (1 to 255), posix:/NAME",
            harmless(key)
        )));
    }
    Ok(())
}

/// The exit code, or a failure.
pub type Outcome = Result<u8, Failure>;

/// Prints a text, which ends with a newline or gets one.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{end}")
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Said(format!("standard output: {error}")),
        })
}

/// Says something on standard error, where somebody may listen.
pub fn complain(sentence: &str) {
    let _ = writeln!(io::stderr(), "qshm: {sentence}");
}

/// What clap says in a paragraph and a summary of the usage.
pub fn one_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let sentence = words.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    format!("{}; see qshm --help", harmless(sentence))
}

/// Whether colour is wanted: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    io::stdout().is_terminal() && !refused && !dumb
}

/// The columns of the terminal, or those that are usual where there is none.
pub fn width() -> usize {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let of_terminal = if io::stdout().is_terminal() {
        asked()
    } else {
        None
    };
    told.or(of_terminal).unwrap_or(100).clamp(20, 200)
}

/// Whether somebody reads along.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Breaks a line between words, so that no line is wider; those after the first are indented.
pub fn wrap(line: &str, width: usize, indent: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            text += "\n";
            text += &" ".repeat(indent);
            column = indent;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text
}

/// Whether a character could do something to a terminal: control characters, and those that turn
/// the direction of writing around.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A text of other people, harmless on a terminal: what is not is written as an escape.
pub fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let _ = match c {
            '\n' => safe.write_str("\\n"),
            '\t' => safe.write_str("\\t"),
            c if is_harmful(c) => write!(safe, "\\u{{{:x}}}", u32::from(c)),
            c => safe.write_char(c),
        };
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{harmless, one_sentence, wrap};

    #[test]
    fn a_complaint_is_one_sentence() {
        let text = "error: these were not provided:\n  <KEY>\n\nUsage: qshm explain <KEY>\n";
        let sentence = "these were not provided: <KEY>; see qshm --help";
        assert_eq!(one_sentence(text), sentence);
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("a bb ccc", 4, 0), "a bb\nccc");
        assert_eq!(wrap("a bb ccc", 4, 2), "a bb\n  ccc");
        assert_eq!(wrap("longer than that", 4, 0), "longer\nthan\nthat");
        assert_eq!(wrap("", 4, 0), "");
    }

    #[test]
    fn other_peoples_text_cannot_move_the_cursor() {
        for (text, safe) in [
            ("Logic", "Logic"),
            ("ü 日本", "ü 日本"),
            ("a\u{1b}[2J", "a\\u{1b}[2J"),
            ("a\r\nb\t", "a\\u{d}\\nb\\t"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}cod.exe", "\\u{202e}cod.exe"),
        ] {
            assert_eq!(harmless(text), safe, "{text:?}");
        }
    }
}
