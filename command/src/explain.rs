//! `qshm explain`.

use qshm::diagnosis::machine::{Machine, Viewer};
use qshm::diagnosis::{Answer, Explanation, explain_key};

use crate::cli::Explain;
use crate::json;
use crate::output::{self, IN_THE_WAY, Outcome, harmless, wrap};

pub fn run(arguments: &Explain) -> Outcome {
    output::check_key(&arguments.key)?;
    let machine = Machine::look(&Viewer::current(), std::slice::from_ref(&arguments.key));
    let told = explain_key(&machine, &arguments.key);
    if arguments.json {
        output::print(&json::explanation(&machine, &arguments.key, &told))?;
    } else {
        output::print(&text(&arguments.key, &told))?;
    }
    Ok(match told.answer {
        Answer::Yes => 0,
        Answer::OnlyWithQshm | Answer::No => IN_THE_WAY,
    })
}

/// The answer, what there is to say, and what to do; a sentence is one line where nobody reads
/// along.
fn text(key: &str, told: &Explanation) -> String {
    let width = if output::is_terminal() {
        output::width()
    } else {
        usize::MAX
    };
    let mut lines = Vec::new();
    let mut sentences = told.sentences.iter();
    let answer = sentences.next().map_or("", String::as_str);
    lines.push(wrap(
        &format!("{}: {}", harmless(key), harmless(answer)),
        width,
        0,
    ));
    lines.extend(sentences.map(|sentence| wrap(&format!("- {}", harmless(sentence)), width, 2)));
    if !told.advice.is_empty() {
        lines.push("What to do:".to_owned());
    }
    lines.extend(
        told.advice
            .iter()
            .map(|advice| format!("  {}", harmless(advice))),
    );
    lines.join("\n")
}
